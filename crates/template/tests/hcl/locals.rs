//! Locals, and the names that expressions can use.

use crate::{
    common::Fixture,
    variables::{describing, value},
};

#[test]
fn locals_are_evaluated_in_the_order_of_what_they_use() {
    let root = r#"
locals {
  c = "${local.b}c"
  a = "a"
}
local "b" {
  expression = "${local.a}b"
}
"#;
    assert_eq!(value(root, "local.c"), "abc");
}

#[test]
fn locals_may_be_in_any_file() {
    let fixture = Fixture::hcl(&describing("", "local.x"))
        .file("a.pkr.json", r#"{"locals": {"x": "${local.y}!"}, "variables": {"z": "z"}}"#)
        .file("b.pkr.hcl", "locals {\n  y = var.z\n}")
        .whole_directory();
    assert_eq!(fixture.build().image.description.0, "z!");
}

#[test]
fn cycles_are_errors() {
    let root = "locals {\n  a = local.b\n  b = \"${local.c}\"\n  c = [local.a]\n  d = local.d\n  e = local.a\n}";
    let problems = Fixture::hcl(&describing(root, "local.e")).load().unwrap_err();
    let found: Vec<(String, &str)> =
        problems.errors.iter().map(|it| (it.to_string(), it.help_text().unwrap())).collect();
    assert_eq!(
        found,
        [
            (
                "`local.a` refers to itself: local.a -> local.b -> local.c -> local.a".to_owned(),
                "local.b is at web.pkr.hcl:3; local.c is at web.pkr.hcl:4; Remove one of these references."
            ),
            ("`local.d` refers to itself".to_owned(), "Remove one of these references."),
        ]
    );
}

#[test]
fn names_that_do_not_exist_are_errors() {
    for (expression, text, message, help) in [
        ("var.releese", "var.releese", "there is no variable `var.releese`", "Did you mean `var.release`?"),
        ("\"${var.q}\"", "var.q", "there is no variable `var.q`", "Declare it: variable \"q\" { … }"),
        ("local.release", "local.release", "there is no local `local.release`", "Did you mean `var.release`?"),
        ("upper(local.q)", "local.q", "there is no local `local.q`", "Declare it: locals { q = … }"),
        (
            "data.amazon-ami.x.id",
            "data.amazon-ami.x.id",
            "there is no data source `data.amazon-ami.x`",
            "Declare it: data \"amazon-ami\" \"x\" { … }",
        ),
        ("release", "release", "there is no `release`", "A string is written in quotes: \"release\""),
        ("locl.release", "locl", "there is no `locl`", "Did you mean `local`?"),
        ("build.SourceAMI", "build", "`build` cannot be used here", "It can be used in provisioners and"),
        ("each.value", "each", "there is no `each`", "In the content of a `dynamic` block, write the block's type"),
        ("source.nam", ".nam", "there is no attribute nam", "name"),
    ] {
        let root = "variable \"release\" {\n  default = \"9\"\n}";
        let problems = Fixture::hcl(&describing(root, expression)).load().unwrap_err();
        let error = &problems.errors[0];
        assert_eq!(problems.errors.len(), 1, "{problems:?}");
        assert_eq!((error.excerpt().unwrap(), error.to_string().as_str()), (text, message));
        assert!(error.help_text().unwrap_or_default().contains(help), "{expression}: {:?}", error.help_text());
    }
}

#[test]
fn an_undefined_name_may_be_tried() {
    assert_eq!(value("", "try(var.x, \"none\")"), "none");
    assert_eq!(value("", "can(local.x) ? \"is\" : \"is not\""), "is not");
}

#[test]
fn one_mistake_is_told_once() {
    let root = "locals {\n  a = var.x\n  b = local.a\n}";
    let mistakes = Fixture::hcl(&describing(root, "\"${local.b} ${local.a}\"")).mistakes();
    assert_eq!(mistakes, [("var.x".to_owned(), "there is no variable `var.x`".to_owned())]);
}

#[test]
fn names_that_are_always_there() {
    let fixture = |expression: &str| Fixture::hcl(&describing("", expression));
    let here = fixture("path.cwd");
    assert_eq!(here.build().image.description.0, here.directory.path().display().to_string());
    assert_eq!(value("", "path.root"), ".");
    assert_eq!(value("", "packer.version"), "1.16.0");
    assert_eq!(value("", "\"${source.type} ${source.name}\""), "amazon-chroot web");
    let nested = fixture("path.root").file("d/web.pkr.hcl", &describing("", "\"${path.root} ${file(\"note\")}\""));
    let mut nested = nested.file("d/note", "text");
    nested.request.template = bakehouse_template::TemplateSource::Path("d/web.pkr.hcl".into());
    assert_eq!(nested.build().image.description.0, "d text");
    let files: Vec<String> =
        nested.load().unwrap().files.iter().map(|it| it.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(files, ["note", "web.pkr.hcl"]);
}

#[test]
fn the_time_is_that_of_the_start() {
    assert_eq!(value("", "regex_replace(timestamp(), \"[- TZ:]\", \"\")"), "20261122212209");
    assert_eq!(value("", "formatdate(\"YYYYMMDD\", timestamp())"), "20261122");
}

#[test]
fn go_templates_are_rendered_after_hcl() {
    for (expression, wanted) in [
        ("\"{{timestamp}} ${1 + 1}\"", "1795382529 2"),
        ("\"{{isotime `2006`}}\"", "2026"),
        ("\"{{build_name}} {{build_type}}\"", "web amazon-chroot"),
        ("\"{{clean_resource_name `a:b`}}\"", "a-b"),
        ("\"{{.SourceAMI}}\"", "{{.SourceAMI}}"),
    ] {
        assert_eq!(value("", expression), wanted, "{expression}");
    }
    for (call, help) in [
        ("{{user `x`}}", "Write ${var.NAME}."),
        ("{{env `HOME`}}", "Write variable \"NAME\" { default = env(\"NAME\") } at the root, and ${var.NAME} here."),
        ("{{template_dir}}", "Write ${path.root}."),
        ("{{build `ID`}}", "Write ${build.NAME}, in a provisioner or a post-processor."),
    ] {
        let problems = Fixture::hcl(&describing("", &format!("\"a {call}\""))).load().unwrap_err();
        assert_eq!(problems.errors[0].help_text(), Some(help));
        assert!(call.contains(problems.errors[0].excerpt().unwrap()), "{:?}", problems.errors[0].excerpt());
    }
}

#[test]
fn places_in_a_template_are_exact() {
    let root = "locals {\n  long = \"a long text that is longer than its name\"\n}";
    for (expression, text) in [
        ("\"a \\\"q\\\" \\u00e9 ${local.long} {{timestmp}} z\"", "timestmp"),
        ("\"$${x} ${local.long}${local.long} é {{timestmp}}\"", "timestmp"),
        ("<<-END\n      one ${local.long}\n        two {{timestmp}}\n    END", "timestmp"),
        ("<<END\nback\\slash\n{{timestmp}}\nEND\n", "timestmp"),
    ] {
        let mistakes = Fixture::hcl(&describing(root, expression)).mistakes();
        assert_eq!(mistakes, [(text.to_owned(), "there is no function `timestmp`".to_owned())], "{expression}");
    }
}
