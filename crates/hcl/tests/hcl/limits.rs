//! No text takes much time, memory or stack.

use std::collections::BTreeMap;

use bakehouse_hcl::{Budget, Evaluator, Value, format, parse_body, parse_expression, parse_template, references};
use proptest::prelude::*;

use super::support::{Machine, Names, evaluate, names};

#[test]
fn expressions_that_yield_too_much_are_errors() {
    let longest = format!("\"{}\"", "a".repeat(100_000));
    for text in [
        "[for a in range(1024) : [for b in range(1024) : [for c in range(1024) : c]]]",
        "length([for a in range(1024) : [for b in range(1024) : length([for c in range(1024) : c])]])",
        "setproduct([1, 2, 3, 4, 5, 6, 7, 8], [for l in range(12) : range(8)]...)",
        &format!("setproduct({})", ["range(16)"; 8].join(", ")),
        &format!("replace({longest}, \"a\", {longest})"),
        &format!("regex_replace({longest}, \"a\", {longest})"),
        &format!("join({longest}, [for x in range(1024) : {longest}])"),
        &format!("[for x in range(1024) : sha512({longest})]"),
        "indent(1000000000, \"a\\nb\")",
        "[for x in range(1024) : bcrypt(\"a\", 10)]",
        "yamldecode(\"a: &a [x,x,x,x,x,x,x,x]\\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\\ng: [*f,*f,*f,*f,*f,*f,*f,*f]\")",
        "\"%{ for a in range(1024) }%{ for b in range(1024) }%{ for c in range(1024) }x%{ endfor }%{ endfor }%{ endfor }\"",
        "try([for a in range(1024) : [for b in range(1024) : [for c in range(1024) : c]]], 1)",
    ] {
        let expression = parse_expression(text).unwrap();
        let budget = Budget::new(Budget::DEFAULT / 20);
        let value = Evaluator::new(&names(), &Machine::default(), &budget).evaluate(&expression);
        let message = value.map(|_| ()).unwrap_err().message;
        assert!(message.contains("takes too long or yields too much"), "{}: {message}", &text[..40.min(text.len())]);
    }
}

#[test]
fn a_budget_bounds_a_chain_of_definitions() {
    let expression = parse_expression("[x, x]").unwrap();
    let budget = Budget::default();
    let machine = Machine::default();
    let mut value = Value::from("a");
    let failed = (0..100).any(|_| {
        let scope = Names(BTreeMap::from([("x".to_owned(), value.clone())]));
        match Evaluator::new(&scope, &machine, &budget).evaluate(&expression) {
            Ok(next) => value = next,
            Err(_) => return true,
        }
        false
    });
    assert!(failed);
}

#[test]
fn a_chain_of_definitions_nests_only_so_deep() {
    let expression = parse_expression("[x]").unwrap();
    let machine = Machine::default();
    let mut value = Value::from("a");
    let message = loop {
        let scope = Names(BTreeMap::from([("x".to_owned(), value.clone())]));
        match Evaluator::new(&scope, &machine, &Budget::default()).evaluate(&expression) {
            Ok(next) => value = next,
            Err(error) => break error.message,
        }
    };
    assert_eq!(message, "the value is a list or a map of more than 64 levels");
}

#[test]
fn the_deepest_nesting_is_evaluated() {
    for (open, inside, close, levels) in [
        ("[for x in [1] : ", "x", "]", 50),
        ("{ for x in [1] : \"k\" => ", "1", "}", 30),
        ("upper(", "\"a\"", ")", 60),
        ("(1 + 1 + ", "1", ")", 60),
        ("\"x${", "1", "}\"", 25),
        ("true ? ", "1", " : 1", 60),
        ("[[0]][0][", "0", "]", 50),
        ("try(", "1", ")", 60),
        ("\"%{ if true }x${", "1", "}%{ endif }\"", 15),
    ] {
        let text = format!("{}{inside}{}", open.repeat(levels), close.repeat(levels));
        let value = evaluate(&text);
        assert!(value.is_ok(), "{open}: {value:?}");
    }
}

#[test]
fn jsondecode_nests_only_so_deep() {
    let text = format!("jsondecode(\"{}{}\")", "[".repeat(100), "]".repeat(100));
    assert!(evaluate(&text).is_err());
    let text = format!("jsondecode(\"{}\")", "[".repeat(100_000));
    assert!(evaluate(&text).is_err());
    let text = format!("yamldecode(\"{}\")", "[".repeat(100_000));
    assert!(evaluate(&text).is_err());
}

/// Expressions, most of them right.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        Just("var.name".to_owned()),
        Just("var.disks[*].name".to_owned()),
        Just("var.disks.*.size[0]".to_owned()),
        Just("var.list".to_owned()),
        Just("var.tags".to_owned()),
        Just("var.nope".to_owned()),
        Just("build.SourceAMI".to_owned()),
        "[a-zé日 \\\\$%{~\"-]{0,8}".prop_map(|text| format!("{text:?}")),
        "[a-z ]{0,8}".prop_map(|text| format!("<<-EOT\n  {text} ${{~ var.name ~}}\n {text}\n  EOT\n")),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let names: Vec<&str> =
            bakehouse_hcl::functions::names().filter(|name| *name != "bcrypt").chain(["try", "can"]).collect();
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let items: Vec<String> = items.iter().enumerate().map(|(i, item)| format!("k{i}={item}")).collect();
                format!("{{{}}}", items.join(", "))
            }),
            (proptest::sample::select(names), proptest::collection::vec(inner.clone(), 0..4))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
            (
                inner.clone(),
                proptest::sample::select(&["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||"][..]),
                inner.clone()
            )
                .prop_map(|(left, operator, right)| format!("({left}){operator}({right})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a}) ? {b} : {c}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[for k, v in {a} : {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{for k, v in {a} : k => {b}...}}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("\"x ${{{a}}} %{{~ if {b} ~}} y %{{ endif }}\"")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.prop_map(|a| format!("!({a}).x")),
        ]
    })
}

/// Pieces of HCL in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "a", "b-c", " ", "\n", "\r\n", "\t", "=", "==", "{", "}", "[", "]", "(", ")", "\"", "${", "%{", "~}", "$${",
        "%%{", "<<EOT\n", "<<-EOT\n", "EOT", ".", "...", ",", ":", "::", "?", "!", "-", "1", "0.5", "1e9", "#", "//",
        "/*", "*/", "*", "for ", "in ", "if ", "else", "endif", "endfor", "null", "=>", "\\", "\\n", "é", "日", "'",
        "&&", "\u{feff}", "=\"x\"\n",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
}

fn check_expression(text: &str) {
    let machine = Machine::default();
    if let Ok(expression) = parse_expression(text) {
        let length = text.len();
        for reference in references(&expression) {
            assert!(
                reference.span.end <= length && text.get(reference.span.clone()).is_some(),
                "{text}: {reference:?}"
            );
        }
        if let Err(error) = Evaluator::new(&names(), &machine, &Budget::new(100_000)).evaluate(&expression) {
            assert!(text.get(error.span.clone()).is_some_and(|part| !part.is_empty()), "{text}: {error:?}");
        }
    }
}

fn check_format(text: &str) {
    let Ok(formatted) = format(text) else {
        return;
    };
    assert_eq!(format(&formatted).as_ref(), Ok(&formatted), "{text:?}");
    let without_blanks = |text: &str| text.replace([' ', '\t'], "");
    assert_eq!(without_blanks(&formatted), without_blanks(text));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_expression_panics(text in expression()) {
        check_expression(&text);
        check_format(&format!("a={text}\nb {{\nlonger= {text}  # c\n}}\n"));
    }

    #[test]
    fn no_text_panics(text in soup()) {
        check_expression(&text);
        check_format(&text);
        check_format(&format!("a = {text}"));
        if let Ok(template) = parse_template(&text) {
            let _ = Evaluator::new(&names(), &Machine::default(), &Budget::new(100_000)).evaluate_template(&template);
        }
        if let Err(error) = parse_body(&text) {
            prop_assert!(text.get(error.span).is_some());
        }
    }
}
