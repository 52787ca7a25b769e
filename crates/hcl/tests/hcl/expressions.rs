//! Literals, names, operators, templates, conditions and loops.

use super::support::{assert_errors, assert_values, evaluate_template};

#[test]
fn literals_are_what_is_written() {
    assert_values(&[
        ("12", "12.0"),
        ("\"n ${0.1 + 0.2}\"", "\"n 0.3\""),
        ("\"${1e3} ${12.50} ${-3} ${18446744073709551615}\"", "\"1000 12.5 -3 18446744073709551615\""),
        ("{ a = 1, \"b\" : 2, (var.name) = 3 }[\"web\"]", "3"),
        ("[1, \"a\", null,]", "[1, \"a\", null]"),
    ]);
}

#[test]
fn operators_follow_their_precedence() {
    assert_values(&[
        ("1 + 2 * 3", "7"),
        ("1 / 3 * 3 == 1", "true"),
        ("floor(10 / 3 * 3)", "10"),
        ("floor(2 / 3 * 1000)", "666"),
        ("parseint(\"100000000000000000000000000000000000000000\", 10) % 7", "5"),
        ("7.5 % 2", "1.5"),
        ("10 - 12.25", "-2.25"),
        ("(1 + 2) * 3", "9"),
        ("-var.size + 1", "-7"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("10 / 4", "2.5"),
        ("!true || true && false", "false"),
        ("1 < 2 && 2 >= 2", "true"),
        ("\"5\" + 1", "6"),
        ("1 == \"1\"", "false"),
        ("[1, 2] == [1, 2]", "true"),
        ("var.none == null", "true"),
        ("false && var.none", "false"),
    ]);
}

#[test]
fn names_lead_to_attributes_and_elements() {
    assert_values(&[
        ("var.list[1]", "\"b\""),
        ("var.list.1", "\"b\""),
        ("var.disks[1].name", "\"data\""),
        ("var.disks.1[\"size\"]", "100"),
        ("var.disks[*].name", "[\"root\", \"data\"]"),
        ("var.disks.*.name", "[\"root\", \"data\"]"),
        ("var.disks.*.name[0]", "\"root\""),
        ("var.name[*]", "[\"web\"]"),
        ("var.none[*]", "[]"),
        ("[[1, 2], [3]][*][0]", "[1, 3]"),
        ("var.tags[\"Name\"]", "\"web\""),
    ]);
}

#[test]
fn conditions_give_both_sides_one_type() {
    assert_values(&[
        ("var.yes ? 1 : \"a\"", "\"1\""),
        ("false ? 1 : null", "null"),
        ("\"true\" ? [1] : []", "[1]"),
        ("true ? [1, 2] : [\"a\"]", "[\"1\", \"2\"]"),
        ("true ? { a = 1 } : { b = \"x\" }", "{ a = \"1\" }"),
        ("true ? \"known\" : var.list[9]", "\"known\""),
    ]);
}

#[test]
fn for_goes_through_lists_and_maps() {
    assert_values(&[
        ("[for x in var.list : upper(x)]", "[\"A\", \"B\", \"C\"]"),
        ("[for i, x in var.list : \"${i}${x}\" if i != 1]", "[\"0a\", \"2c\"]"),
        ("{ for k, v in var.tags : lower(k) => v }", "{ env = \"prod\", name = \"web\" }"),
        (
            "{ for d in var.disks : d.size > 50 ? \"large\" : \"small\" => d.name... }",
            "{ large = [\"data\"], small = [\"root\"] }",
        ),
        ("[for x in [[1, 2], [3]] : [for x in x : x + 1]]", "[[2, 3], [4]]"),
        ("[for var in [1] : var]", "[1]"),
    ]);
}

#[test]
fn templates_put_values_into_text() {
    assert_values(&[
        ("\"${var.name}-${var.size}-${var.yes}\"", "\"web-8-true\""),
        ("\"${var.list}\"", "[\"a\", \"b\", \"c\"]"),
        ("\"%{ if var.yes }yes%{ else }no%{ endif }\"", "\"yes\""),
        ("\"%{ for i, x in var.list }${i}=${x},%{ endfor }\"", "\"0=a,1=b,2=c,\""),
    ]);
}

#[test]
fn errors_point_at_the_part_at_fault() {
    assert_errors(&[
        ("1 + vra.size", "vra", "there is no vra; Did you mean var?"),
        ("[var.name, var.siez]", ".siez", "there is no attribute siez; Did you mean size?"),
        ("1 + var.list", "var.list", "a number is required, but this is a list"),
        (
            "\"x ${var.list}\"",
            "var.list",
            "a string is required in a template, but this is a list; Write ${join(\", \", …)} for the elements, or ${jsonencode(…)}.",
        ),
        ("var.list[3]", "3", "there is no element 3; The list has the elements 0 to 2."),
        (
            "var.disks.name",
            ".name",
            "this is a list, so it has no attribute name; Write [0].name for that of the first element, or [*].name for those of all.",
        ),
        ("uper(var.name)", "uper", "there is no function uper; Did you mean upper?"),
        ("upper(var.list)", "var.list", "upper: a string is required, but this is a list"),
        ("upper()", "upper()", "upper: 0 arguments are given; Write upper(text)."),
        ("1 / 0", "0", "the divisor is 0"),
        (
            "true ? \"a\" : [1]",
            "true ? \"a\" : [1]",
            "the two results of a condition must be of one type, but one is a string and one is a list",
        ),
        (
            "{ for x in [1, 1] : x => x }",
            "x",
            "the key \"1\" occurs twice; Write ... after the value to group the values of equal keys into lists.",
        ),
    ]);
}

#[test]
fn a_bare_template_is_text_without_escapes() {
    assert_eq!(evaluate_template(r#"a "b" \n ${var.size + 1}"#), Ok(r#"a "b" \n 9"#.into()));
    assert_eq!(evaluate_template("${var.size + 1}"), Ok(9.into()));
}
