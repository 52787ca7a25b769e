//! Sources, builds and their steps.

use bakehouse_protocol::spec::{Action, Script, Source};

use crate::common::{Fixture, messages};

/// Returns a template with a source `web`, with these options and the required ones, and a build of it.
pub(crate) fn with_options(options: &str) -> String {
    format!(
        "source \"amazon-chroot\" \"web\" {{\n  ami_name = \"web 1\"\n  source_ami = \"ami-01234567\"\n{options}\n}}\n\
         build {{\n  sources = [\"source.amazon-chroot.web\"]\n}}\n"
    )
}

/// Returns a template with a source `web`, and a build of it with this in it.
pub(crate) fn with_build(content: &str) -> String {
    format!(
        "source \"amazon-chroot\" \"web\" {{\n  ami_name = \"web 1\"\n  source_ami = \"ami-01234567\"\n}}\n\
         build {{\n  sources = [\"source.amazon-chroot.web\"]\n{content}\n}}\n"
    )
}

#[test]
fn a_template_is_read_into_a_build() {
    let spec = Fixture::hcl(
        r#"
        variable "release" {
          type    = string
          default = "9.4"
        }
        locals {
          name = "web ${var.release}"
        }
        source "amazon-chroot" "web" {
          ami_name   = local.name
          source_ami = "ami-01234567"
          tags = {
            Release = var.release
            Minor   = 4
            Live    = true
            Base    = "{{ .SourceAMIName }} of {{timestamp}}"
          }
        }
        build {
          sources = ["source.amazon-chroot.web"]
          provisioner "shell" {
            inline = ["echo ${source.name} ${build.SourceAMI} ${upper("x")}"]
          }
        }
        "#,
    )
    .build();
    assert_eq!((spec.name.as_str(), spec.display_name.as_str()), ("web", "amazon-chroot.web"));
    assert_eq!(spec.image.name, "web 9.4");
    let tags: Vec<(&str, &str)> = spec.image.tags.iter().map(|(k, v)| (k.0.as_str(), v.0.as_str())).collect();
    assert_eq!(
        tags,
        [("Release", "9.4"), ("Minor", "4"), ("Live", "true"), ("Base", "{{ .SourceAMIName }} of 1795382529")]
    );
    let Source::Image(query) = &spec.source else { panic!() };
    assert_eq!(query.id.as_ref().unwrap().as_str(), "ami-01234567");
    let Action::Shell(shell) = &spec.provisioners[0].action else { panic!() };
    assert!(matches!(&shell.scripts[0], Script::Inline(lines) if lines[0].0 == "echo web {{.SourceAMI}} X"));
}
