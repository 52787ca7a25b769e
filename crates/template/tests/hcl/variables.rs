//! Variables: their types, where their values come from, and their rules.

use crate::common::Fixture;

/// Returns a template with this at its root, whose image has this expression as its description.
pub(crate) fn describing(root: &str, expression: &str) -> String {
    format!(
        "{root}\nsource \"amazon-chroot\" \"web\" {{\n  ami_name = \"web 1\"\n  source_ami = \"ami-01234567\"\n  \
         ami_description = {expression}\n}}\nbuild {{\n  sources = [\"source.amazon-chroot.web\"]\n}}\n"
    )
}

/// Returns the value of an expression, as text.
pub(crate) fn value(root: &str, expression: &str) -> String {
    Fixture::hcl(&describing(root, expression)).build().image.description.0
}

const X: &str = "variable \"x\" {\n  type = string\n  default = \"default\"\n}";

#[test]
fn later_values_override_earlier_ones() {
    let from_default = || Fixture::hcl(&describing(X, "var.x")).whole_directory();
    let from_environment = || from_default().env("PKR_VAR_x", "environment");
    let from_hcl = || {
        from_environment()
            .file("b.auto.pkrvars.hcl", "x = \"b.auto.pkrvars.hcl\"")
            .file("a.auto.pkrvars.hcl", "x = \"a.auto.pkrvars.hcl\"")
            .file("z.pkrvars.hcl", "x = \"not loaded by itself\"")
    };
    let from_json = || from_hcl().file("a.auto.pkrvars.json", "{\"x\": \"a.auto.pkrvars.json\"}");
    let from_file = || from_json().var_file("one.json", "{\"x\": \"one.json\"}");
    let from_two = || from_file().var_file("two.pkrvars.hcl", "x = \"two.pkrvars.hcl\"");
    let description = |fixture: Fixture| fixture.build().image.description.0;
    assert_eq!(description(from_default()), "default");
    assert_eq!(description(from_environment()), "environment");
    assert_eq!(description(from_hcl()), "b.auto.pkrvars.hcl");
    assert_eq!(description(from_json()), "a.auto.pkrvars.json");
    assert_eq!(description(from_file()), "one.json");
    assert_eq!(description(from_two()), "two.pkrvars.hcl");
    assert_eq!(description(from_two().var("x", "first").var("x", "-var")), "-var");
}

#[test]
fn one_file_loads_no_variable_files_by_itself() {
    let fixture = Fixture::hcl(&describing(X, "var.x")).file("a.auto.pkrvars.hcl", "x = \"auto\"");
    assert_eq!(fixture.build().image.description.0, "default");
}

#[test]
fn texts_become_values_by_the_type() {
    for (declaration, text, expression, wanted) in [
        ("type = string", "[1]", "var.x", "[1]"),
        ("type = string", "${a}", "upper(var.x)", "${A}"),
        ("type = number", "7", "var.x + 1", "8"),
        ("type = any", "true", "var.x", "true"),
        ("", "[\"a\"]", "var.x", "[\"a\"]"),
        ("type = bool", "true", "var.x ? \"yes\" : \"no\"", "yes"),
        ("type = list(string)", "[\"a\", 1]", "join(\"+\", var.x)", "a+1"),
        ("type = set(string)", "[\"b\", \"a\", \"b\"]", "join(\"+\", var.x)", "a+b"),
        ("type = map(number)", "{a = \"1\"}", "var.x.a + 1", "2"),
        ("type = tuple([string, bool])", "[1, true]", "var.x[0]", "1"),
        (
            "type = object({ name = string, size = optional(number, 8), note = optional(string) })",
            "{name = \"n\"}",
            "\"${var.x.name} ${var.x.size} ${var.x.note == null}\"",
            "n 8 true",
        ),
        ("default = 1", "7", "var.x + 1", "8"),
        ("default = true", "false", "var.x ? \"yes\" : \"no\"", "no"),
        ("default = [\"a\"]", "[\"b\", \"c\"]", "join(\"+\", var.x)", "b+c"),
        ("default = { a = 1 }", "{b = 2}", "var.x.b", "2"),
        ("default = null", "text", "var.x", "text"),
        ("type = string\ndefault = null", "null", "var.x", "null"),
    ] {
        let template = describing(&format!("variable \"x\" {{\n{declaration}\n}}"), expression);
        let from_variable = Fixture::hcl(&template).var("x", text).build().image.description.0;
        let from_environment = Fixture::hcl(&template).env("PKR_VAR_x", text).build().image.description.0;
        assert_eq!((from_variable.as_str(), from_environment.as_str()), (wanted, wanted), "{declaration} {text}");
    }
}

#[test]
fn values_of_the_wrong_type_are_errors() {
    for (declaration, text, wanted) in [
        ("type = number", "abc", "the value of the variable `x` is not of the type number"),
        ("default = 1", "abc", "the value of the variable `x` is not of the type number"),
        ("type = bool", "yes", "yes cannot be used here"),
        ("type = list(string)", "a", "a cannot be used here"),
        ("type = list(string)", "\"a\"", "the value of the variable `x` is not of the type list(string)"),
        (
            "type = object({ a = string })",
            "{}",
            "the value of the variable `x` is not of the type object({a = string})",
        ),
        ("type = list(string)", "[upper(\"a\")]", "the function upper cannot be called here"),
    ] {
        let template = describing(&format!("variable \"x\" {{\n{declaration}\n}}"), "\"${var.x}\"");
        let mistakes = Fixture::hcl(&template).var("x", text).mistakes();
        assert_eq!(mistakes.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), [wanted], "{declaration} {text}");
    }
}

#[test]
fn variables_take_values_from_files() {
    let root = "variable \"list\" {\n  type = list(number)\n}\nvariable \"name\" {\n  type = string\n}";
    let template = describing(root, "\"${var.name} ${var.list[1]}\"");
    let hcl = Fixture::hcl(&template).var_file("v.hcl", "name = \"n\"\nlist = [1, \"2\"]");
    assert_eq!(hcl.build().image.description.0, "n 2");
    let json = Fixture::hcl(&template).var_file("v.json", "{\"name\": \"${n}\", \"list\": [1, \"2\"]}");
    assert_eq!(json.build().image.description.0, "${n} 2");
}

#[test]
fn variable_files_are_checked() {
    for (file, text, wanted) in [
        ("v.txt", "", "the name of the variable file v.txt ends neither in .hcl nor in .json"),
        ("v.hcl", "variable \"y\" {}", "a variable file has no blocks"),
        ("v.hcl", "x = var.x", "var cannot be used here"),
        ("v.hcl", "x = [", "this is not HCL"),
        ("v.json", "[]", "a file in HCL's JSON syntax is an object, not a list"),
    ] {
        let mistakes = Fixture::hcl(&describing(X, "var.x")).var_file(file, text).mistakes();
        assert_eq!(mistakes.len(), 1, "{text} {mistakes:?}");
        assert!(mistakes[0].1.starts_with(wanted), "{text} {mistakes:?}");
    }
    let mut fixture = Fixture::hcl(&describing(X, "var.x"));
    fixture.request.var_files.push("absent.hcl".into());
    assert!(fixture.mistakes()[0].1.starts_with("the variable file absent.hcl cannot be read: "));
}

#[test]
fn undeclared_variables() {
    let fixture = || Fixture::hcl(&describing(X, "var.x"));
    assert_eq!(fixture().env("PKR_VAR_y", "1").warnings(), Vec::<String>::new());
    assert_eq!(
        fixture().var_file("v.hcl", "y = 1").warnings(),
        ["the variable `y` is not declared, so this has no effect"]
    );
    let mistakes = fixture().var("y", "secret").mistakes();
    assert_eq!(mistakes, [("y".to_owned(), "the variable `y` is not declared".to_owned())]);
}

#[test]
fn every_variable_needs_a_value() {
    let mistakes = Fixture::hcl(&describing("variable \"x\" {\n  type = string\n}", "\"\"")).mistakes();
    assert_eq!(mistakes, [("\"x\"".to_owned(), "the variable `x` must be set".to_owned())]);
    assert_eq!(value("variable \"x\" {\n  default = null\n}", "var.x == null ? \"null\" : \"set\""), "null");
}

#[test]
fn only_env_can_be_called_in_a_default() {
    let root = "variable \"x\" {\n  default = env(\"USER_NAME\")\n}";
    assert_eq!(value(root, "var.x"), "mo");
    let unset = "variable \"x\" {\n  default = \"<${env(\"UNSET\")}>\"\n}";
    assert_eq!(value(unset, "var.x"), "<>");
    let loaded = Fixture::hcl(&describing(root, "var.x")).load().unwrap();
    let names: Vec<&str> = loaded.environment.iter().map(String::as_str).collect();
    assert_eq!(names, ["PKR_VAR_x", "USER_NAME"]);
    for (default, wanted) in [
        ("upper(\"a\")", "the function upper cannot be called here"),
        ("local.y", "`local.y` cannot be used in the default of a variable"),
    ] {
        let template = describing(&format!("variable \"x\" {{\n  default = {default}\n}}"), "var.x");
        let mistakes = Fixture::hcl(&template).mistakes();
        assert_eq!(mistakes.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), [wanted], "{default}");
    }
    let elsewhere = Fixture::hcl(&describing("", "env(\"USER_NAME\")")).mistakes();
    assert_eq!(elsewhere[0].1, "there is no function env");
}

#[test]
fn the_block_variables_has_defaults() {
    let root = "variables {\n  x = \"a\"\n  n = 1\n}";
    let fixture = Fixture::hcl(&describing(root, "\"${var.x}${var.n}\"")).var("n", "5");
    assert_eq!(fixture.build().image.description.0, "a5");
}

#[test]
fn declarations_are_checked() {
    for (declaration, wanted) in [
        ("type = strin", "there is no type strin"),
        ("type = \"string\"", "a type is written without quotes"),
        ("type = list", "list needs the type of its elements"),
        ("type = number\ndefault = \"a\"", "the default is not of the type number: "),
        ("sensitive = 1", "`sensitive` is a number"),
        ("defualt = 1", "`defualt` is not an attribute of `variable`"),
        ("description = 1", "`description` is a number"),
        ("validation {\n}", "this `validation` has no `condition`"),
    ] {
        let default = if declaration.contains("default") { "" } else { "default = \"1\"\n" };
        let template = describing(&format!("variable \"x\" {{\n{default}{declaration}\n}}"), "\"${var.x}\"");
        let mistakes = Fixture::hcl(&template).mistakes();
        assert!(mistakes[0].1.starts_with(wanted), "{declaration}: {mistakes:?}");
    }
}

const VALIDATION: &str = r#"
variable "release" {
  type    = string
  default = "9.4"
  validation {
    condition     = can(regex("^9[.]", var.release))
    error_message = "The release must be one of the nines."
  }
}
"#;

#[test]
fn values_are_validated() {
    let template = describing(VALIDATION, "var.release");
    assert_eq!(Fixture::hcl(&template).build().image.description.0, "9.4");
    let problems = Fixture::hcl(&template).var("release", "8.0").load().unwrap_err();
    assert_eq!(problems.errors[0].to_string(), "the value of the variable `release` is not valid");
    assert_eq!(problems.errors[0].help_text(), Some("The release must be one of the nines."));
    assert_eq!(problems.errors[0].position().unwrap().1, 6);
}

#[test]
fn rules_are_checked() {
    for (from, to, wanted) in [
        ("var.release))", "var.other))", "`var.other` cannot be used here"),
        ("can(regex(\"^9[.]\", var.release))", "true", "`condition` does not depend on the variable"),
        ("can(regex(\"^9[.]\", var.release))", "var.release", "`condition` is neither true nor false"),
        ("The release", "the release", "`error_message` is not a sentence"),
        ("nines.", "nines", "`error_message` is not a sentence"),
    ] {
        let mistakes = Fixture::hcl(&describing(&VALIDATION.replace(from, to), "\"x\"")).mistakes();
        assert_eq!(mistakes.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), [wanted], "{to}");
    }
}

#[test]
fn sensitive_values_are_masked() {
    let root = r#"
variable "password" {
  type      = list(string)
  sensitive = true
  default   = ["hunter22", "tiger33"]
}
local "token" {
  expression = "t-${var.password[0]}"
  sensitive  = true
}
"#;
    let loaded = Fixture::hcl(&describing(root, "local.token")).load().unwrap();
    assert_eq!(loaded.sensitive, ["hunter22", "tiger33", "t-hunter22"]);
    assert_eq!(loaded.builds[0].sensitive, loaded.sensitive);
    let short = Fixture::hcl(&describing(root, "local.token")).var("password", "[\"a\"]");
    assert!(short.warnings()[0].contains("shorter than 4 bytes"));
}

#[test]
fn a_sensitive_value_is_in_no_message() {
    let root = "variable \"pin\" {\n  type = number\n  sensitive = true\n}";
    let template = describing(root, "\"${var.pin}\"");
    for value in ["hunter22", "[hunter22"] {
        let report = Fixture::hcl(&template).var("pin", value).report();
        assert!(!report.contains("hunter22") && report.contains("-var pin"), "{report}");
    }
    let list = template.replace("number", "list(number)");
    let report = Fixture::hcl(&list).var("pin", "[hunter22").report();
    assert!(!report.contains("hunter22"), "{report}");
}

#[test]
fn a_sensitive_name_is_in_no_help() {
    let root = "variable \"pin\" {\n  type = list(number)\n  sensitive = true\n}";
    let report = Fixture::hcl(&describing(root, "join(\"\", var.pin)")).var("pin", "[hunter22]").report();
    assert!(!report.contains("hunter22") && report.contains("-var pin"), "{report}");
}

#[test]
fn a_sensitive_default_is_in_no_message() {
    let template = |default: &str| {
        let root = format!("variable \"pin\" {{\n  type = number\n  default = {default}\n  sensitive = true\n}}");
        describing(&root, "\"${var.pin}\"")
    };
    for default in ["env(\"PIN\")", "\"hunter22\""] {
        let report = Fixture::hcl(&template(default)).env("PIN", "hunter22").report();
        assert!(!report.contains("hunter22"), "{report}");
        assert!(report.contains("the default is not of the type number"), "{report}");
        assert!(report.contains("It is at web.pkr.hcl:3:13."), "{report}");
    }
}

#[test]
fn a_sensitive_line_of_a_file_is_in_no_message() {
    let root = "variable \"pin\" {\n  type = list(number)\n  sensitive = true\n}";
    let template = describing(root, "join(\"\", var.pin)");
    let value = "the value of the variable `pin` cannot be read";
    // In a report a line may be broken anywhere.
    let has_error = |fixture: &Fixture, message: &str| fixture.mistakes().iter().any(|(_, it)| it.contains(message));
    let syntax = |file: &str| format!("{file} cannot be read: there is a mistake at line 1, column ");
    for (name, text, message) in [
        ("pin.pkrvars.hcl", "pin = [\"hunter22\", other]", value.to_owned()),
        ("pin.pkrvars.hcl", "pin = [hunter22]", value.to_owned()),
        ("pin.pkrvars.hcl", "pin = [\"hunter22\", = ]", syntax("pin.pkrvars.hcl")),
        ("pin.pkrvars.hcl", "pin = hunter22\"", syntax("pin.pkrvars.hcl")),
        ("pin.pkrvars.json", "{\"pin\": [\"hunter22\", 1e99999999999]}", syntax("pin.pkrvars.json")),
        ("pin.pkrvars.json", "{\"pin\": \"hunter22}", syntax("pin.pkrvars.json")),
    ] {
        let fixture = Fixture::hcl(&template).var_file(name, text);
        let report = fixture.report();
        assert!(!report.contains("hunter22") && report.contains(name), "{report}");
        assert!(has_error(&fixture, &message), "{report}");
    }
    let json = r#"{"variables": {"pin": ""}, "sensitive-variables": ["pin"], "builders": [{"type": "amazon-chroot"}]}"#;
    let fixture = Fixture::new(json).var_file("pin.json", "{\"pin\": \"hunter22\",}");
    let report = fixture.report();
    assert!(!report.contains("hunter22") && has_error(&fixture, &syntax("pin.json")), "{report}");
}

#[test]
fn sensitive_values_are_not_quoted() {
    let root = "variable \"key\" {\n  sensitive = true\n  default = \"hunter22\"\n}";
    let template = describing(root, "\"\"\n  root_volume_size = var.key");
    let report = Fixture::hcl(&template).report();
    assert!(report.contains("\"<sensitive>\" is not a number") && !report.contains("hunter22"), "{report}");
    let beside = template.replace("hunter22\"\n}", "hunter22\"\n  wrong = 1\n}");
    let report = Fixture::hcl(&beside).report();
    assert!(report.contains("web.pkr.hcl:4:3, beside a sensitive value."), "{report}");
    assert!(!report.contains("hunter22"), "{report}");
}

#[test]
fn a_variable_that_is_not_used_is_told() {
    let root = "variable \"x\" {\n  default = 1\n}";
    assert_eq!(Fixture::hcl(&describing(root, "\"\"")).warnings(), ["the variable `x` is not used"]);
}
