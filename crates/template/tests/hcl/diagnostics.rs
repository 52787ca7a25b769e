//! Mistakes as a user sees them.

use crate::common::Fixture;

macro_rules! snapshot {
    ($name:ident, $template:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(Fixture::hcl($template).report());
        }
    };
}

snapshot!(
    everything_in_packer,
    r#"packer {
  source "amazon-chroot" "web" {
    ami_name = "web"
  }
  build {
    sources = ["source.amazon-chroot.web"]
  }
}
"#
);

snapshot!(an_unclosed_block, "source \"amazon-chroot\" \"web\" {\n  ami_name = \"web\"\n");

snapshot!(an_unclosed_string, "locals {\n  a = \"web\n  b = 1\n}\n");

snapshot!(
    an_attribute_twice,
    r#"source "amazon-chroot" "web" {
  ami_name   = "web 1"
  source_ami = "ami-0123456789abcdef0"
  ami_name   = "db 1"
}
build {
  sources = ["source.amazon-chroot.web"]
}
"#
);

snapshot!(
    many_errors_at_once,
    r#"variable "release" {
  type    = strin
  default = "9"
}
variable "accounts" {
  type = list(string)
}
locals {
  a = local.b
  b = local.a
}
source "amazon-chroot" "web" {
  ami_nam          = "web ${var.relase}"
  source_ami       = "ami-0123456789abcdef0"
  root_volume_size = "8 GB"
  ami_users        = "123456789012"
  tags             = { Base = "{{.SourceAMIname}}", By = "{{user `who`}}" }
  tag {
    kye   = "a"
    value = "b"
  }
}
source "amazon-chroot" "web" {
}
build {
  sources = ["source.amazon-chroot.web", "amazon-chroot.db"]
  provisioner "shel" {
    inline = ["a"]
  }
  provisioner "shell" {
    inline = ["echo ${build.SourceAmi}", "docker ps --format '{{json .}}'"]
  }
  variable "x" {}
}
"#
);
