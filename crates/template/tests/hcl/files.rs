//! Which files a template has.

use crate::{blocks::with_options, common::Fixture};

#[test]
fn a_directory_is_one_template() {
    let fixture = Fixture::new("")
        .file("t/b.pkr.json", r#"{"build": [{"sources": ["source.amazon-chroot.web"]}]}"#)
        .file(
            "t/a.pkr.hcl",
            "source \"amazon-chroot\" \"web\" {\n  ami_name = \"web 1\"\n  source_ami = \"ami-01234567\"\n}",
        )
        .file("t/below/c.pkr.hcl", "this is not read")
        .file("t/d.hcl", "neither is this");
    let mut fixture = fixture;
    fixture.request.template = bakehouse_template::TemplateSource::Path("t".into());
    assert_eq!(fixture.build().image.name, "web 1");
}

#[test]
fn a_file_is_read_alone() {
    let fixture = Fixture::hcl(&with_options("")).file("b.pkr.hcl", "wrong = 1");
    assert_eq!(fixture.build().image.name, "web 1");
}

#[test]
fn json_is_a_syntax_of_hcl() {
    let template = r#"{
  "//": "a comment",
  "variable": {"n": {"type": "list(number)", "default": [1]}, "s": {"default": "x"}},
  "locals": [{"a": "${var.s}-${var.n[0]}"}, {"b": "${upper(local.a)}"}],
  "source": [{"amazon-chroot": {"web": {
    "ami_name": "${local.b} {{timestamp}}", "source_ami_filter": {"filters": {"name": "$${x}"}, "owners": ["self"]},
    "tags": {"${local.a}": "v", "N": 1}
  }}}],
  "build": {
    "sources": ["source.amazon-chroot.web"],
    "provisioner": [{"shell": {"inline": ["echo ${build.SourceAMI}"]}}, {"file": {"source": "setup.sh", "destination": "/x"}}]
  }
}"#;
    let spec = Fixture::new("").template("web.pkr.json", template).build();
    assert_eq!(spec.image.name, "X-1 1795382529");
    let tags: Vec<(&str, &str)> = spec.image.tags.iter().map(|(k, v)| (k.0.as_str(), v.0.as_str())).collect();
    assert_eq!(tags, [("x-1", "v"), ("N", "1")]);
    assert_eq!(spec.provisioners.len(), 2);
}

#[test]
fn mistakes_in_json_have_their_places() {
    let template = r#"{
  "source": {"amazon-chroot": {"web": {"ami_name": "a \"b\" ${var.x}", "source_ami": "ami-01234567", "tags": [1]}}},
  "build": {"sources": ["amazon-chroot.web"], "provisioner": "shell"}
}"#;
    let mistakes = Fixture::new("").template("web.pkr.json", template).mistakes();
    let found: Vec<(&str, &str)> = mistakes.iter().map(|(text, message)| (text.as_str(), message.as_str())).collect();
    assert_eq!(
        found,
        [
            ("var.x", "there is no variable `var.x`"),
            ("[1]", "a map is required, but this is a list"),
            ("\"shell\"", "`provisioner` is a block, but this is a string"),
        ]
    );
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let mut fixture = Fixture::new("");
    fixture.request.template = bakehouse_template::TemplateSource::Path("files".into());
    assert_eq!(fixture.mistakes()[0].1, "there is no template in the directory files");
    fixture.request.template = bakehouse_template::TemplateSource::Path("absent.pkr.hcl".into());
    assert!(fixture.mistakes()[0].1.starts_with("the template absent.pkr.hcl cannot be read: "));
    assert_eq!(
        Fixture::hcl("").mistakes(),
        [(String::new(), "the template has no `build` block, so there is nothing to build".to_owned())]
    );
}

#[test]
fn legacy_json_has_another_name() {
    let problems = Fixture::new("").template("web.pkr.json", r#"{"builders": []}"#).load().unwrap_err();
    assert_eq!(
        problems.errors[0].to_string(),
        "this is a template in Packer's legacy JSON, but its name is that of one in HCL2"
    );
    assert_eq!((problems.errors.len(), problems.errors[0].help_text()), (1, Some("Rename it to web.json.")));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let fixture = Fixture::hcl(&format!("\u{feff}{}", with_options("")));
    assert_eq!(fixture.build().image.name, "web 1");
}
