//! Single expressions, evaluated with what a template defines.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

mod common;

use bakehouse_template::{Evaluated, Problems, console};
use common::Fixture;

/// Evaluates each of these, or lists the variables.
fn values(fixture: &Fixture, expressions: &[&str]) -> Result<Vec<Evaluated>, Problems> {
    console(&fixture.request, |session| {
        let one = |expression: &&str| match *expression {
            "variables" => Evaluated { text: Some(session.variables()), diagnostics: Vec::new() },
            other => session.evaluate(other),
        };
        expressions.iter().map(one).collect()
    })
}

fn value(fixture: &Fixture, expression: &str) -> String {
    let evaluated = values(fixture, &[expression]).unwrap().remove(0);
    evaluated.text.unwrap_or_else(|| panic!("{expression}: {:?}", evaluated.diagnostics))
}

fn mistake(fixture: &Fixture, expression: &str) -> (String, String) {
    let evaluated = values(fixture, &[expression]).unwrap().remove(0);
    assert_eq!(evaluated.text, None, "{expression}");
    let [diagnostic] = &evaluated.diagnostics[..] else { panic!("{:?}", evaluated.diagnostics) };
    (diagnostic.excerpt().unwrap().to_owned(), diagnostic.to_string())
}

const HCL: &str = r#"
variable "site" { default = "example.org" }
variable "ids" { default = [1, "b"] }
variable "key" {
  default   = "hunter22\nline"
  sensitive = true
}
locals { tags = { Name = upper(var.site), Ids = var.ids } }
source "amazon-chroot" "web" { nonsense = true }
"#;

#[test]
fn hcl_has_variables_locals_and_functions() {
    let fixture = Fixture::hcl(HCL).var("site", "a.example.org");
    for (expression, wanted) in [
        ("var.site", "a.example.org"),
        ("upper(\"${var.site}!\")", "A.EXAMPLE.ORG!"),
        ("1 + 1.5", "2.5"),
        ("var.ids", "[\n  1,\n  \"b\",\n]"),
        ("local.tags", "{\n  \"Ids\" = [\n    1,\n    \"b\",\n  ]\n  \"Name\" = \"A.EXAMPLE.ORG\"\n}"),
        ("[[], {}, null, true]", "[\n  [],\n  {},\n  null,\n  true,\n]"),
        ("null", "null"),
        ("formatdate(\"YYYY\", timestamp())", "2026"),
        ("packer.version", "1.16.0"),
    ] {
        assert_eq!(value(&fixture, expression), wanted, "{expression}");
    }
}

#[test]
fn a_wrong_expression_is_reported_at_its_place_and_the_next_is_evaluated() {
    let fixture = Fixture::hcl(HCL);
    for (expression, excerpt, message) in [
        ("var.sit", "var.sit", "there is no variable `var.sit`"),
        ("1 +", "+", "this is not an expression of HCL: "),
        ("build.SourceAMI", "build", "`build` cannot be used here"),
    ] {
        let (at, said) = mistake(&fixture, expression);
        assert!(at == excerpt && said.starts_with(message), "{expression}: {at:?} {said}");
    }
    let all = values(&fixture, &["nonsense(", "var.site"]).unwrap();
    assert_eq!((all[0].text.as_deref(), all[1].text.as_deref()), (None, Some("example.org")));
}

#[test]
fn sensitive_values_are_hidden() {
    let fixture = Fixture::hcl(HCL);
    for expression in ["var.key", "upper(\"x\") == \"X\" ? var.key : 0", "[var.key]", "variables"] {
        let text = value(&fixture, expression);
        assert!(text.contains("<sensitive>") && !text.contains("hunter22"), "{expression}: {text}");
    }
    let json = Fixture::new(
        r#"{"variables": {"key": "hunter22", "site": "x"}, "sensitive-variables": ["key"], "builders": [{"type": "null"}]}"#,
    );
    for expression in ["key {{user `key`}}", "variables"] {
        let text = value(&json, expression);
        assert!(text.contains("<sensitive>") && !text.contains("hunter22"), "{expression}: {text}");
    }
}

#[test]
fn the_variables_are_listed_as_packer_does() {
    let wanted = "> input-variables:\n\nvar.ids: \"[\\n  1,\\n  \\\"b\\\",\\n]\"\nvar.key: \"<sensitive>\"\nvar.site: \
                  \"example.org\"\n\n> local-variables:\n\nlocal.tags: ";
    let listed = value(&Fixture::hcl(HCL), "variables");
    assert!(listed.starts_with(wanted), "{listed}");
    let json =
        Fixture::new(r#"{"variables": {"site": "x", "at": "{{env `USER_NAME`}}"}, "builders": [{}]}"#).var("site", "y");
    assert_eq!(value(&json, "variables"), "\nat: mo,\nsite: y,\n");
}

#[test]
fn a_json_template_renders_texts() {
    let fixture = Fixture::new(
        r#"{"variables": {"site": "example.org"}, "builders": [{"type": "amazon-chroot", "nonsense": 1}]}"#,
    );
    assert_eq!(value(&fixture, "a {{user `site` | upper}} {{timestamp}}"), "a EXAMPLE.ORG 1795382529");
    assert_eq!(mistake(&fixture, "{{nonsense}}").0, "nonsense");
    assert_eq!(mistake(&fixture, "{{build `ID`}}").1, "`build` cannot be called in a builder");
    let undeclared = values(&fixture, &["{{user `sit`}}"]).unwrap().remove(0);
    assert_eq!(undeclared.text.as_deref(), Some(""));
    assert!(undeclared.diagnostics[0].is_warning());
}

#[test]
fn a_template_that_cannot_be_evaluated_has_no_console() {
    let fixture = Fixture::hcl("variable \"x\" {}\nlocals { y = nonsense() }");
    let problems = values(&fixture, &["1"]).unwrap_err();
    assert_eq!(problems.errors.len(), 2, "{:?}", problems.errors);
    let fixture = Fixture::new("{");
    assert_eq!(values(&fixture, &["1"]).unwrap_err().errors.len(), 1);
}
