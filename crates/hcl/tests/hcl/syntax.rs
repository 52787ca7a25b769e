//! What is no HCL, and the whitespace of templates.

use bakehouse_hcl::{MAX_BYTES, SyntaxError, parse_body, parse_expression, parse_template};

use super::support::{assert_values, evaluate_template};

fn describe(text: &str, error: SyntaxError) -> String {
    let help = error.help.map(|help| format!("; {help}")).unwrap_or_default();
    format!("{:?}: {}{help}", &text[error.span], error.message)
}

#[test]
fn errors_of_syntax_say_what_to_write() {
    let lines = "Write each attribute and block on a line of its own.";
    let table = [
        ("a = 'x'", "\"'\": ' is no part of HCL; Write strings between double quotes."),
        (
            "a: 1",
            "\":\": unexpected :; expected `{`, `=`, `\"` or identifier; Write an attribute of a block as: name = value",
        ),
        (
            "a = 1, b = 2",
            "\",\": unexpected ,; expected newline or the end of the text; Write each attribute of a block on a line of its own, without commas.",
        ),
        ("a = \"x", r#""\"": this string is not closed; Write a double quote at its end."#),
        (
            "a = \"x\nb = 1",
            r#""\"x": this string is not closed on its line; Write a line break as \n, or use a heredoc: <<-EOT"#,
        ),
        ("a = [1, 2}", "\"[\": this [ is not closed; Write ] after the last element."),
        ("a {\n b = 1", "\"{\": this { is not closed; Write } after its content."),
        (
            "a = 1\n}",
            "\"}\": nothing is open that this } closes; Remove it, or look for a bracket that is closed too early before it.",
        ),
        (
            "a = \"${x\"",
            "\"${\": this ${ is not closed; Write } after the expression, or $${ for the characters themselves.",
        ),
        (
            "a = <<EOT\nx\n",
            "\"<<EOT\": the heredoc <<EOT is not closed; Write EOT on a line of its own after the text.",
        ),
        ("a = 1\na = 2", "\"a\": a is set twice; Remove one of the two."),
        ("a { b = 1 c = 2 }", &format!("\"c\": unexpected c; expected `}}`, newline or identifier; {lines}")),
        ("a = 1 2", &format!("\"2\": unexpected 2; expected newline or the end of the text; {lines}")),
        (
            "a = 1 +",
            "\"+\": unexpected +; expected newline or the end of the text; Write the value on this line, or parentheses around an expression of several lines.",
        ),
        (
            "a =\n",
            "\"\\n\": unexpected end of the line; expected a value; Write the value on this line, or parentheses around an expression of several lines.",
        ),
        ("a = x & y", "\"&\": & is no part of HCL; Write && for and, || for or."),
        (
            "a = \"\\x\"",
            r#""\\x": \x is no escape sequence; Write \\ for a backslash; the sequences are \n, \r, \t, \", \\ and \u00e9."#,
        ),
        ("a = \"%{ if x }\"", "\"%{ if\": this %{ if } is not ended; Write %{ endif } after its text."),
        ("a = \"%{ endif }\"", "\"%{ endif\": no %{ if } belongs to this endif; Write %{ if … } before it."),
        (
            "a = \"%{ iff }\"",
            "\"%{ iff\": a directive is if, else, endif, for or endfor; write %%{ for the characters themselves; Did you mean if?",
        ),
        ("a = x.", "\".\": after this dot, a name is missing; Write the attribute: var.name"),
        (
            "a = 99999999999999999999",
            "\"99999999999999999999\": the number is too large; Write it as a string, or compute it.",
        ),
        ("\u{feff}a = 1", "\"\\u{feff}\": the file begins with a byte order mark; Save it as UTF-8 without one."),
    ];
    for (text, wanted) in table {
        assert_eq!(describe(text, parse_body(text).unwrap_err()), wanted);
    }
}

#[test]
fn hostile_texts_are_errors() {
    let deep = 100_000;
    let longest = "x".repeat(MAX_BYTES);
    for text in [
        "[".repeat(deep),
        "(".repeat(deep),
        "{ a = ".repeat(deep),
        "\"${".repeat(deep),
        "<<A\n${".repeat(deep),
        "-".repeat(deep),
        "!".repeat(deep),
        "1 +".repeat(deep),
        "a ? b : ".repeat(deep),
        "\"%{ if a }".repeat(deep),
        "f(".repeat(deep),
        format!("{{{}}}", "b = 1\n".repeat(deep)),
        longest,
    ] {
        assert!(parse_expression(&text).is_err() || text.starts_with('x'), "{}", &text[..20]);
        assert!(parse_body(&format!("a = {text}")).is_err(), "{}", &text[..20]);
    }
    assert!(parse_body(&"a {\n".repeat(deep)).is_err());
    assert!(parse_template(&"%{ if a }".repeat(deep)).is_err());
    assert!(parse_body(&"a".repeat(100_000_000)).is_err());
}

#[test]
fn heredocs_keep_their_lines() {
    assert_values(&[
        ("<<EOT\n  a\n\tb \\n \"c\"\nEOT\n", r#""  a\n\tb \\n \"c\"\n""#),
        ("<<-EOT\n    a\n      b\n  \n    c\n    EOT\n", "\"a\\n  b\\n  \\nc\\n\""),
        ("<<-EOT\n  ${var.name}\n    $${b}\nEOT\n", "\"web\\n  $${b}\\n\""),
        ("<<-EOT\na ${var.name}\n    b\nEOT\n", "\"a web\\n    b\\n\""),
        ("<<-EOT\n  %{ if true }\n    a\n  %{ endif }\nEOT\n", "\"\\n  a\\n\\n\""),
        ("<<EOT\nEOT\n", "\"\""),
        ("<<EOT\nEOT x\nEOT\n", "\"EOT x\\n\""),
    ]);
}

#[test]
fn strip_markers_remove_blanks_of_one_line() {
    assert_values(&[
        ("\"a  ${~ var.name ~}  b\"", "\"awebb\""),
        ("<<EOT\n%{ for x in var.list ~}\n- ${x}\n%{ endfor ~}\nend\nEOT\n", "\"- a\\n- b\\n- c\\nend\\n\""),
        ("<<EOT\na\n  %{~ if true ~}\n  b\n  %{~ endif ~}\nEOT\n", "\"a\\n  b\\n\""),
        ("<<EOT\na\n%{~ if true }b%{ endif }\nEOT\n", "\"ab\\n\""),
    ]);
    assert_eq!(evaluate_template("a ${~ var.name ~} \n  b"), Ok("aweb  b".into()));
}

#[test]
fn expressions_may_span_lines_within_brackets() {
    assert_values(&[
        ("(1\n+ 2)", "3"),
        ("[\n1, # one\n2, // two\n/* three */ 3\n]", "[1, 2, 3]"),
        ("{\na = 1\nb = 2, c = 3\n}", "{ a = 1, b = 2, c = 3 }"),
        ("join(\n\",\",\nvar.list,\n)", "\"a,b,c\""),
    ]);
}
