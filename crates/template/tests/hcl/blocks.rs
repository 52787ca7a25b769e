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

#[test]
fn a_build_has_the_name_of_its_source() {
    let template = r#"
source "amazon-chroot" "web" {
  ami_name   = "${source.name} {{build_name}}"
  source_ami = "ami-01234567"
}
build {
  name        = "base"
  description = "what it is for"
  sources     = ["sources.amazon-chroot.web"]
  source "source.amazon-chroot.web" {
    name            = "db"
    ami_description = "added"
    ami_regions     = ["eu-west-1"]
  }
  source "amazon-chroot.web" {
    name = "cache"
  }
  provisioner "shell" {
    inline = ["echo ${build.name} ${source.name} ${source.type}"]
  }
}
"#;
    let loaded = Fixture::hcl(template).load().unwrap();
    let found: Vec<(&str, &str, &str, &str)> = loaded
        .builds
        .iter()
        .map(|it| (it.name.as_str(), it.display_name.as_str(), it.image.name.as_str(), it.image.description.0.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("web", "base.amazon-chroot.web", "web web", ""),
            ("web", "base.amazon-chroot.db", "db web", "added"),
            ("web", "base.amazon-chroot.cache", "cache web", ""),
        ]
    );
    assert_eq!(loaded.builds[1].image.regions.len(), 1);
    let Action::Shell(shell) = &loaded.builds[1].provisioners[0].action else { panic!() };
    assert!(matches!(&shell.scripts[0], Script::Inline(lines) if lines[0].0 == "echo base db amazon-chroot"));
}

#[test]
fn values_convert_as_in_hcl() {
    let spec = Fixture::hcl(&with_options(
        r#"
        root_volume_size = "12"
        mount_partition  = 2
        ami_users        = [123456789012, "999988887777"]
        mount_options    = ["a, b"]
        ami_groups       = null
        tags             = { N = 12.50, B = false, "a b" = "c" }
        "#,
    ))
    .build();
    assert_eq!(spec.root_volume_size, Some(12));
    assert_eq!(spec.image.users, ["123456789012", "999988887777"]);
    assert_eq!(spec.chroot.mount_options, ["a, b"]);
    let tags: Vec<&str> = spec.image.tags.iter().map(|(_, value)| value.0.as_str()).collect();
    assert_eq!(tags, ["12.5", "false", "c"]);
}

#[test]
fn values_of_the_wrong_type_are_errors() {
    for (option, text, wanted) in [
        ("from_scratch = 1", "1", "a bool is required, but this is a number"),
        ("from_scratch = \"yes\"", "\"yes\"", "yes"),
        ("root_volume_size = 12.5", "12.5", "12.5 is not an integer"),
        ("root_volume_size = \"x\"", "\"x\"", "x"),
        ("ami_users = \"123456789012\"", "\"123456789012\"", "a list is required, but this is a string"),
        ("ami_users = [[1]]", "[1]", "a string is required, but this is a list"),
        ("tags = [1]", "[1]", "a map is required, but this is a list"),
        ("tags = { a = [1] }", "[1]", "a string is required, but this is a list"),
        ("mount_options = { a = 1 }", "{ a = 1 }", "a list is required, but this is a map"),
        ("chroot_mounts = [[\"bind\", \"/a\", \"/a\"], \"x\"]", "\"x\"", "a list is required, but this is a string"),
        ("tags {\nA = \"b\"\n}", "tags", "`tags` is an attribute, not a block"),
        (
            "source_ami_filter = { owners = [\"self\"] }",
            "source_ami_filter",
            "`source_ami_filter` is a block, not an attribute",
        ),
        ("name = \"x\"", "name", "`name` is not an option of amazon-chroot"),
        ("Region = \"eu-west-1\"", "Region", "`Region` is not an option: names are case-sensitive in HCL"),
        ("foo {\n}", "foo", "`foo` is not an option of amazon-chroot"),
        ("packer_x = 1", "packer_x", "`packer_x` is not an option of amazon-chroot"),
        (
            "source_ami_filter {\nowners = [\"self\"]\n}\nsource_ami_filter {\nowners = [\"self\"]\n}",
            "source_ami_filter",
            "`source_ami_filter` is set twice",
        ),
        ("source_ami_filter \"x\" {\nowners = [\"self\"]\n}", "\"x\"", "a `source_ami_filter` block has no label"),
        ("ami_description = var.x", "var.x", "there is no variable `var.x`"),
    ] {
        let mistakes = Fixture::hcl(&with_options(option)).mistakes();
        assert_eq!(mistakes.len(), 1, "{option}: {mistakes:?}");
        assert_eq!(mistakes[0].0, text, "{option}");
        assert!(mistakes[0].1.contains(wanted), "{option}: {mistakes:?}");
    }
}

#[test]
fn an_attribute_can_be_set_once() {
    let template = with_options(
        "ami_description = <<E\na\n  b\nE\n  ami_description = \"c\"\n  tags = { A = var.x }\n  ami_description = [\n    \"d\"\n  ]\n",
    );
    let problems = Fixture::hcl(&template).load().unwrap_err();
    let found: Vec<(usize, String)> =
        problems.errors.iter().map(|it| (it.position().unwrap().1, it.to_string())).collect();
    assert_eq!(
        found,
        [
            (8, "`ami_description` is set twice".to_owned()),
            (9, "there is no variable `var.x`".to_owned()),
            (10, "`ami_description` is set twice".to_owned()),
        ]
    );
}

#[test]
fn additions_do_not_replace() {
    let template = with_build("source \"amazon-chroot.web\" {\n  name = \"db\"\n  ami_name = \"db 1\"\n}");
    assert_eq!(Fixture::hcl(&template).mistakes(), [("ami_name".to_owned(), "`ami_name` is set twice".to_owned())]);
}

#[test]
fn blocks_and_their_labels_are_checked() {
    for (root, text, wanted, help) in [
        ("x = 1", "x", "`x` is not an attribute of a template", "A template has no attributes. Remove it."),
        ("sorce \"a\" \"b\" {\n}", "sorce", "`sorce` is not a block of a template", "Did you mean `source`?"),
        (
            "source \"amazon-chroot\" {\n}",
            "source \"amazon-chroot\"",
            "a `source` block has 2 labels, its type and its name",
            "Write source \"TYPE\" \"NAME\" { … }",
        ),
        ("variable {\n}", "variable", "a `variable` block has one label, its name", "Write variable \"NAME\" { … }"),
        ("build \"x\" {\n}", "build \"x\"", "a `build` block has no label", "Write build { … }"),
        (
            "provisioner \"shell\" {\n}",
            "provisioner",
            "`provisioner` is not a block of a template",
            "It belongs in a `build` block.",
        ),
        (
            "source \"amazon-chroot\" \"web\" {\n}",
            "source \"amazon-chroot\" \"web\"",
            "the source `amazon-chroot.web` is set twice",
            "Keep one of the two.",
        ),
        (
            "locals {\n  a = 1\n}\nlocal \"a\" {\n  expression = 2\n}",
            "\"a\"",
            "`local.a` is set twice",
            "Keep one of the two.",
        ),
        (
            "variables {\n  a = 1\n}\nvariable \"a\" {\n}",
            "\"a\"",
            "the variable `a` is set twice",
            "Keep one of the two.",
        ),
        ("local \"a\" {\n}", "local \"a\"", "this `local` has no `expression`", "Write expression = … in it."),
        (
            "build {\n}",
            "build",
            "this `build` has no sources",
            "Write sources = [\"source.amazon-chroot.NAME\"] in it.",
        ),
        (
            "build {\n  sources = [\"amazon-chroot.wep\"]\n}",
            "\"amazon-chroot.wep\"",
            "there is no source \"amazon-chroot.wep\"",
            "Did you mean \"source.amazon-chroot.web\"?",
        ),
        (
            "build {\n  source \"web\" {\n  }\n}",
            "\"web\"",
            "there is no source \"web\"",
            "Write \"source.TYPE.NAME\", such as \"source.amazon-chroot.web\".",
        ),
        (
            "packer {\n  required_version = \">= 2\"\n}",
            "\">= 2\"",
            "the template needs another version of Packer: >= 2",
            "Bakehouse reads templates as Packer 1.16.0 does.",
        ),
        (
            "packer {\n  required_version = \"new\"\n}",
            "\"new\"",
            "\"new\" is not a constraint on a version",
            "Write for instance \">= 1.8.0, < 2.0.0\".",
        ),
        (
            "packer {\n  variable \"x\" {\n  }\n}",
            "variable",
            "`variable` is not a block of `packer`",
            "It belongs at the root of the template, outside of all other blocks.",
        ),
    ] {
        let problems = Fixture::hcl(&format!("{}{root}\n", with_options(""))).load().unwrap_err();
        let error = &problems.errors[0];
        assert_eq!(problems.errors.len(), 1, "{root}: {problems:?}");
        assert_eq!(
            (error.excerpt().unwrap(), error.to_string().as_str(), error.help_text().unwrap()),
            (text, wanted, help)
        );
    }
}

#[test]
fn blocks_without_effect_are_accepted() {
    let root = r#"
packer {
  required_version = ">= 1.8.0, < 2.0.0"
  required_plugins {
    amazon = {
      version = ">= 1.1.0"
      source  = "github.com/hashicorp/amazon"
    }
    amazon-chroot = {
      version = ">= 1.1.0"
      source  = "github.com/hashicorp/amazon"
    }
    vagrant = {
      version = "~> 1"
      source  = "github.com/hashicorp/vagrant"
    }
  }
}
packer {
  required_plugins {
    amazon = { version = ">= 1.2.8", source = "github.com/hashicorp/amazon" }
  }
}
hcp_packer_registry {
  bucket_name = "x"
}
communicator "ssh" "x" {
  ssh_username = "x"
}
"#;
    let fixture = Fixture::hcl(&format!("{root}{}", with_build("hcp_packer_registry {\n  description = \"x\"\n}")));
    assert_eq!(fixture.warnings(), Vec::<String>::new());
}

const MIXED: &str = r#"
source "amazon-chroot" "web" {
  ami_name   = "web 1"
  source_ami = "ami-01234567"
}
source "qemu" "disk" {
  iso_url = local.not_looked_at
  nested {
    too = var.either
  }
}
source "amazon-chroot" "unused" {
  nothing = "is checked"
}
build {
  sources = ["source.amazon-chroot.web", "source.qemu.disk"]
  provisioner "shell" {
    only   = ["qemu.disk"]
    script = "absent.sh"
  }
}
build {
  name    = "other"
  sources = ["source.qemu.disk"]
  provisioner "no-such" {
  }
  post-processor "vagrant" {
    output = var.x
  }
}
"#;

#[test]
fn other_builders_are_skipped_and_told() {
    let loaded = Fixture::hcl(MIXED).load().unwrap();
    assert_eq!(loaded.builds.len(), 1);
    assert_eq!(loaded.skipped, ["qemu.disk", "other.qemu.disk"]);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["the build \"qemu.disk\" is skipped", "the build \"other.qemu.disk\" is skipped"]);
}

#[test]
fn builds_are_selected_by_pattern() {
    let select = |only: &[&str], except: &[&str]| {
        let mut fixture = Fixture::hcl(MIXED);
        fixture.request.only = only.iter().map(|it| (*it).to_owned()).collect();
        fixture.request.except = except.iter().map(|it| (*it).to_owned()).collect();
        fixture.load()
    };
    for (only, except) in [(&["amazon-chroot.*"][..], &[][..]), (&["*.web"], &[]), (&[], &["*qemu*"])] {
        let loaded = select(only, except).unwrap();
        assert_eq!((loaded.builds.len(), loaded.warnings.len()), (1, 0), "{only:?} {except:?}");
    }
    let messages = |result: Result<_, _>| messages(&result.map(|_: bakehouse_template::Loaded| ()).unwrap_err());
    assert_eq!(messages(select(&["nothing"], &[]))[0].1, "no build is left after -only and -except");
    assert_eq!(
        messages(select(&["qemu.disk"], &[])),
        [("\"source.qemu.disk\"".to_owned(), "the builder \"qemu\" is not supported".to_owned())]
    );
}
