//! What expressions refer to, where they may be evaluated, and types.

use std::{borrow::Cow, collections::BTreeMap};

use bakehouse_hcl::{
    Budget, Evaluator, Scope, Type, Value, evaluate_literal, parse_expression, parse_template, parse_type, references,
    template_references,
};

use super::support::{Machine, names};

fn paths(text: &str) -> Vec<String> {
    let found = references(&parse_expression(text).unwrap());
    found.iter().map(|reference| format!("{} {}", reference.path.join("."), &text[reference.span.clone()])).collect()
}

#[test]
fn references_are_paths_with_their_place() {
    assert_eq!(paths("1 + var.size"), ["var.size var.size"]);
    assert_eq!(
        paths("data.amazon-ami.base.tags[\"Name\"]"),
        ["data.amazon-ami.base.tags.Name data.amazon-ami.base.tags[\"Name\"]"]
    );
    assert_eq!(paths("local.list[var.i].x"), ["local.list local.list", "var.i var.i"]);
    assert_eq!(
        paths("\"${local.a}%{ for x in local.b }${x}${local.c}%{ endfor }\""),
        ["local.a local.a", "local.b local.b", "local.c local.c"]
    );
    assert_eq!(
        paths("[for k, v in var.m : { key = k, (var.n) = v } if local.x]"),
        ["var.m var.m", "var.n var.n", "local.x local.x"]
    );
    assert_eq!(paths("[for var in var.a : var.b]"), ["var.a var.a"]);
    assert_eq!(paths("convert(var.a, list(string))"), ["var.a var.a"]);
    assert_eq!(paths("<<EOT\n${a}\nEOT\n"), ["a a"]);
    assert_eq!(template_references(&parse_template("${a.b} c").unwrap())[0].path, ["a", "b"]);
}

/// A scope that knows better than names alone.
struct Hints;

impl Scope for Hints {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        (name == "local").then(|| Cow::Owned(Value::Map(BTreeMap::new())))
    }

    fn names(&self) -> Vec<&str> {
        vec!["local"]
    }

    fn missing(&self, path: &[&str]) -> Option<(String, Option<String>)> {
        Some((format!("no {}", path.join(".")), Some("Declare it.".to_owned())))
    }
}

#[test]
fn a_scope_says_what_a_missing_name_means() {
    for (text, message, at) in [("local.x.y", "no local.x", ".x"), ("1 + each", "no each", "each")] {
        let expression = parse_expression(text).unwrap();
        let error = Evaluator::new(&Hints, &Machine::default(), &Budget::default()).evaluate(&expression).unwrap_err();
        assert_eq!((error.message.as_str(), &text[error.span]), (message, at));
    }
}

#[test]
fn functions_can_be_limited_to_those_of_the_caller() {
    let evaluate = |text: &str| {
        let expression = parse_expression(text).unwrap();
        let (names, machine, budget) = (names(), Machine::default(), Budget::default());
        Evaluator::new(&names, &machine, &budget).without_built_in_functions().evaluate(&expression)
    };
    assert_eq!(evaluate("env(\"HOME\")"), Ok("value of HOME".into()));
    let error = evaluate("upper(\"a\")").unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.help.as_deref()),
        ("the function upper cannot be called here", Some("Only env can."))
    );
    assert_eq!(evaluate("enw(\"a\")").unwrap_err().help.as_deref(), Some("Did you mean env?"));
}

#[test]
fn literals_have_neither_names_nor_functions() {
    let evaluate = |text: &str| evaluate_literal(&parse_expression(text).unwrap()).map_err(|error| error.message);
    assert_eq!(evaluate(" [\"a\", -1] "), Ok(vec!["a".into(), (-1).into()].into()));
    assert_eq!(evaluate("yes"), Err("yes cannot be used here".to_owned()));
    assert_eq!(evaluate("upper(\"a\")"), Err("the function upper cannot be called here".to_owned()));
}

#[test]
fn types_are_read_and_written() {
    for text in [
        "string",
        "list(string)",
        "set(number)",
        "map(list(any))",
        "tuple([string, bool])",
        "object({a = string, b = optional(number)})",
    ] {
        assert_eq!(parse_type(&parse_expression(text).unwrap()).unwrap().to_string(), text);
    }
    for (text, wanted) in [
        ("strng", "\"strng\": there is no type strng; Did you mean string?"),
        ("list", "\"list\": list needs the type of its elements; Write list(string)."),
        ("\"string\"", "\"\\\"string\\\"\": a type is written without quotes; Write string."),
        (
            "list(optional(string))",
            "\"optional(string)\": optional is for the attributes of an object, with a type and at most a default; Write object({ name = optional(string) }), or with a default: optional(string, \"x\").",
        ),
        (
            "object({ a = optional(number, \"x\") })",
            "\"\\\"x\\\"\": this default is not of the type number: a number is required, but \"x\" is not a number; ",
        ),
        (
            "object({ a = optional(number, var.x) })",
            "\"var\": var cannot be used here; Write a literal value; a string is in quotes: \"var\".",
        ),
        (
            "[string]",
            "\"[string]\": this is no type; Write string, number, bool, any, list(…), set(…), map(…), object({…}) or tuple([…]).",
        ),
    ] {
        let error = parse_type(&parse_expression(text).unwrap()).unwrap_err();
        let described = format!("{:?}: {}; {}", &text[error.span], error.message, error.help.unwrap_or_default());
        assert_eq!(described, wanted);
    }
}

#[test]
fn values_convert_by_the_rules_of_hcl() {
    let literal = |text: &str| evaluate_literal(&parse_expression(text).unwrap()).unwrap();
    let convert = |text: &str, of: &str| {
        let of = parse_type(&parse_expression(of).unwrap()).unwrap();
        of.convert(literal(text)).map_err(|error| error.to_string())
    };
    for (text, of, wanted) in [
        ("\"12\"", "number", "12"),
        ("\"1e3\"", "number", "1000"),
        ("\"true\"", "bool", "true"),
        ("\"1\"", "bool", "true"),
        ("1.50", "string", "\"1.5\""),
        ("true", "string", "\"true\""),
        ("[1, \"a\"]", "list(any)", "[\"1\", \"a\"]"),
        ("[2, 10, 2]", "set(number)", "[2, 10]"),
        ("{ a = 1, b = null }", "map(string)", "{ a = \"1\", b = null }"),
        ("[1, 2]", "tuple([string, number])", "[\"1\", 2]"),
        ("{ a = null }", "object({ a = optional(string, \"x\"), b = optional(bool) })", "{ a = \"x\", b = null }"),
        ("null", "list(string)", "null"),
        ("[1, [2]]", "any", "[1, [2]]"),
    ] {
        assert_eq!(convert(text, of), Ok(literal(wanted)), "{text} as {of}");
    }
    for (text, of, wanted) in [
        ("1", "bool", "a bool is required, but this is a number"),
        ("\"yes\"", "bool", "a bool is required, but this is the string \"yes\"; write true or false"),
        ("\"x\"", "list(string)", "a list is required, but this is a string"),
        ("[{ a = \"x\" }]", "list(object({ a = number }))", "[0].a: a number is required, but \"x\" is not a number"),
        ("{}", "object({ a = string })", "the attribute a is required"),
        ("{ \"a b\" = [] }", "map(string)", "[\"a b\"]: a string is required, but this is a list"),
        ("[1]", "tuple([string, number])", "a list of 2 elements is required, but this has 1"),
        ("[1, [2]]", "list(any)", "all elements must be of the same type"),
    ] {
        assert_eq!(convert(text, of), Err(wanted.to_owned()), "{text} as {of}");
    }
    assert!(Type::String.is_given_literally() && !Type::Bool.is_given_literally());
}
