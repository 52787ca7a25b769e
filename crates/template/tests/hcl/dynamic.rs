//! `dynamic` blocks.

use bakehouse_protocol::spec::{Action, Script};

use crate::{
    blocks::{with_build, with_options},
    common::Fixture,
};

/// Returns the device names of the mappings of a template.
fn devices(fixture: &Fixture) -> Vec<String> {
    let mappings = fixture.build().image.block_device_mappings;
    mappings.into_iter().map(|mapping| mapping.device_name).collect()
}

const MAPPED: &str = "root_volume_size = 8\n  root_device_name = \"/dev/xvda\"\n";

#[test]
fn a_block_is_made_for_each_element() {
    for (head, name) in [
        ("for_each = [\"/dev/xvda\", \"/dev/sdb\"]", "ami_block_device_mappings.value"),
        ("for_each = { a = \"/dev/xvda\", b = \"/dev/sdb\" }\niterator = it", "it.value"),
        ("for_each = { \"/dev/xvda\" = 1, \"/dev/sdb\" = 2 }\niterator = it", "it.key"),
        ("for_each = [for d in [\"xvda\", \"sdb\"] : { name = \"/dev/${d}\" }]\niterator = it", "it.value.name"),
        ("for_each = [\"a\", \"b\"]\niterator = it", "it.key == 0 ? \"/dev/xvda\" : \"/dev/sdb\""),
    ] {
        let options = format!(
            "{MAPPED}dynamic \"ami_block_device_mappings\" {{\n{head}\ncontent {{\ndevice_name = {name}\n}}\n}}"
        );
        let mut found = devices(&Fixture::hcl(&with_options(&options)));
        found.sort();
        assert_eq!(found, ["/dev/sdb", "/dev/xvda"], "{head}");
    }
}

#[test]
fn written_and_made_blocks_keep_their_order() {
    let options = format!(
        "{MAPPED}ami_block_device_mappings {{\ndevice_name = \"/dev/sdb\"\n}}\n\
         dynamic \"ami_block_device_mappings\" {{\nfor_each = [\"/dev/xvda\"]\ncontent {{\n\
         device_name = ami_block_device_mappings.value\n}}\n}}\n\
         ami_block_device_mappings {{\ndevice_name = \"/dev/sdc\"\n}}"
    );
    assert_eq!(devices(&Fixture::hcl(&with_options(&options))), ["/dev/sdb", "/dev/xvda", "/dev/sdc"]);
}

#[test]
fn blocks_with_labels_are_made() {
    let build = r#"
dynamic "provisioner" {
  for_each = ["one", "two"]
  labels   = ["shell"]
  iterator = word
  content {
    inline = ["echo ${word.value}"]
  }
}
"#;
    let steps = Fixture::hcl(&with_build(build)).build().provisioners;
    let lines: Vec<&str> = steps
        .iter()
        .map(|step| match &step.action {
            Action::Shell(shell) => match &shell.scripts[0] {
                Script::Inline(lines) => lines[0].0.as_str(),
                Script::File(_) => "",
            },
            _ => "",
        })
        .collect();
    assert_eq!(lines, ["echo one", "echo two"]);
}

#[test]
fn whole_sources_and_builds_are_made() {
    let template = r#"
dynamic "source" {
  for_each = { web = "ami-01234567", db = "ami-89abcdef" }
  labels   = ["amazon-chroot", source.key]
  content {
    ami_name   = "${source.key} 1"
    source_ami = source.value
  }
}
dynamic "build" {
  for_each = ["web", "db"]
  content {
    name    = build.value
    sources = ["source.amazon-chroot.${build.value}"]
  }
}
"#;
    let loaded = Fixture::hcl(template).load().unwrap();
    let names: Vec<&str> = loaded.builds.iter().map(|spec| spec.display_name.as_str()).collect();
    assert_eq!(names, ["web.amazon-chroot.web", "db.amazon-chroot.db"]);
    assert_eq!(loaded.builds[1].image.name, "db 1");
}

#[test]
fn dynamic_blocks_may_be_nested() {
    let build = r#"
dynamic "post-processors" {
  for_each = []
  content {
    dynamic "post-processor" {
      for_each = ["x"]
      labels   = ["manifest"]
      content {}
    }
  }
}
dynamic "provisioner" {
  for_each = [["a", "b"]]
  labels   = ["shell"]
  content {
    inline = [for word in provisioner.value : "echo ${word}"]
  }
}
"#;
    assert_eq!(Fixture::hcl(&with_build(build)).build().provisioners.len(), 1);
}

#[test]
fn json_has_dynamic_blocks() {
    let template = r#"{
  "source": {"amazon-chroot": {"web": {
    "ami_name": "web 1", "source_ami": "ami-01234567", "root_volume_size": 8, "root_device_name": "/dev/xvda",
    "dynamic": {"ami_block_device_mappings": {
      "for_each": ["/dev/xvda", "/dev/sdb"], "iterator": "it", "content": {"device_name": "${it.value}"}
    }}
  }}},
  "build": {"sources": ["amazon-chroot.web"]}
}"#;
    assert_eq!(devices(&Fixture::new("").template("web.pkr.json", template)), ["/dev/xvda", "/dev/sdb"]);
}

#[test]
fn mistakes_in_dynamic_blocks() {
    for (block, wanted) in [
        ("dynamic {\n}", "a `dynamic` block has one label"),
        ("dynamic \"tag\" {\n}", "a `dynamic` block needs `for_each` and `content`"),
        ("dynamic \"tag\" {\nfor_each = 1\ncontent {}\n}", "`for_each` is a number"),
        ("dynamic \"tag\" {\nfor_each = var.x\ncontent {}\n}", "there is no variable `var.x`"),
        ("dynamic \"tag\" {\nfor_each = []\ncontent {}\ncontent {}\n}", "a `dynamic` block has one `content`"),
        (
            "dynamic \"tag\" {\nfor_each = []\nforeach = 1\ncontent {}\n}",
            "`foreach` cannot be used in a `dynamic` block",
        ),
        ("dynamic \"tag\" {\nfor_each = []\niterator = \"x\"\ncontent {}\n}", "`iterator` is a name"),
        ("dynamic \"tagg\" {\nfor_each = [1]\ncontent {}\n}", "`tagg` is not an option of amazon-chroot"),
        (
            "dynamic \"tag\" {\nfor_each = flatten([for x in range(600) : range(100)])\ncontent {}\n}",
            "the builds have more than 50000 blocks together",
        ),
    ] {
        let mistakes = Fixture::hcl(&with_options(block)).mistakes();
        assert!(mistakes.iter().any(|it| it.1 == wanted), "{block}: {mistakes:?}");
    }
}
