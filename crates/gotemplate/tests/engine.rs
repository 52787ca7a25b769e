//! The public interface: Go's semantics, Packer's examples, errors with their spans, and that nothing panics.

use std::collections::BTreeMap;

use bakehouse_gotemplate::{
    CallError, Constants, Scope, Template, Value, deferred, functions, layout, quote, render_until_stable,
};
use proptest::prelude::*;

/// 2026-11-22T21:22:09.195Z, when the examples were made with Packer 1.6.6.
const NOW: u64 = 1_795_382_529_195;

struct Test(Value);

impl Scope for Test {
    fn data(&self) -> &Value {
        &self.0
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, CallError> {
        match (name, arguments) {
            ("user", [Value::String(name)]) => Ok(format!("<{name}>").into()),
            ("user", _) => functions::wrong_arguments("one name", arguments).map_err(CallError::Failed),
            _ => {
                functions::call_at(name, arguments, NOW).unwrap_or(Err("unknown".to_owned())).map_err(CallError::Failed)
            }
        }
    }
}

impl Constants for Test {
    fn is_constant(&self, function: &str) -> bool {
        function == "user" || functions::PURE.contains(&function)
    }

    fn as_field(&self, function: &str, argument: &str) -> Option<String> {
        (function == "build").then(|| argument.to_owned())
    }
}

fn data() -> Value {
    let map = |pairs: &[(&str, Value)]| Value::Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect());
    map(&[
        ("Name", "web".into()),
        ("N", Value::Int(3)),
        ("Yes", Value::Bool(true)),
        ("Empty", "".into()),
        ("Tags", map(&[("a", "1".into()), ("b", "2".into())])),
        ("List", Value::List(vec!["x".into(), "y".into()])),
    ])
}

fn render(text: &str) -> Result<String, String> {
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    template.render(&Test(data())).map_err(|error| error.to_string())
}

#[test]
fn go_semantics() {
    for (text, expected) in [
        ("plain } text { %", "plain } text { %"),
        ("{{.Name}}", "web"),
        ("{{ .Tags.a }}", "1"),
        ("{{.Missing}} {{.Tags.zzz}} {{.Missing.Deep}}", "<no value> <no value> <no value>"),
        ("{{index .Tags \"zzz\"}}", ""),
        ("a {{- .Name -}} b", "awebb"),
        ("a{{/* a comment */}}b", "ab"),
        ("a {{- /* a comment */ -}} b", "ab"),
        ("{{-3}}", "-3"),
        ("{{\"a\\tb\\u00e9\\x41\\101\"}}", "a\tbéAA"),
        ("{{`raw \\n`}}", "raw \\n"),
        ("{{'a'}} {{0x10}} {{010}} {{1_000}} {{true}}", "97 16 8 1000 true"),
        ("{{`{{`}}x}}", "{{x}}"),
        ("{{.}}", "map[Empty: List:[x y] N:3 Name:web Tags:map[a:1 b:2] Yes:true]"),
        ("{{if .Yes}}a{{else}}b{{end}}", "a"),
        ("{{if .Empty}}a{{else if eq .N 3}}b{{else}}c{{end}}", "b"),
        ("{{with .Tags}}{{.a}}{{$.Name}}{{end}}", "1web"),
        ("{{with .Empty}}a{{else}}{{.Name}}{{end}}", "web"),
        ("{{range .List}}<{{.}}>{{end}}", "<x><y>"),
        ("{{range $i, $x := .List}}{{$i}}{{$x}}{{end}}", "0x1y"),
        ("{{range $k, $v := .Tags}}{{$k}}={{$v}};{{end}}", "a=1;b=2;"),
        ("{{range .Missing}}a{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{$x := 1}}{{if .Yes}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if .Yes}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("{{with $x := .Name}}{{$x}}{{end}}", "web"),
        ("{{.Name | printf \"%s-%s\" \"a\"}}", "a-web"),
        ("{{(printf \"%d\" 5) | len}}", "1"),
        ("{{printf \"%5d|%-5d|%05d|%x|%X\" 42 42 -42 255 255}}", "   42|42   |-0042|ff|FF"),
        (
            "{{printf \"%q %v %t %% %5s %.2s %x\" \"a\\\"b\" .List true \"é\" \"abc\" \"hi\"}}",
            "\"a\\\"b\" [x y] true %     é ab 6869",
        ),
        ("{{print 1 2 \"a\" \"b\" 3}}", "1 2ab3"),
        ("{{println \"a\" 1}}", "a 1\n"),
        ("{{len .Tags}} {{len \"é\"}} {{index .List 1}} {{index .Tags \"a\"}}", "2 2 y 1"),
        (
            "{{eq 1 2 1}} {{ne 1 2}} {{lt \"a\" \"b\"}} {{ge 2 2}} {{gt 1 2}} {{le 1 1}}",
            "true true true true false true",
        ),
        ("{{and .Yes .Empty}}|{{or .Empty .Name}}|{{not .Yes}}|{{or .Yes (index .List 9)}}", "|web|false|true"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

/// All of these results were seen in Packer 1.6.6.
#[test]
fn packer_functions() {
    for (text, expected) in [
        ("{{printf \"%03d\" 7}}", "007"),
        ("{{timestamp}}", "1795382529"),
        ("{{isotime}}", "2026-11-22T21:22:09Z"),
        ("{{isotime \"2006-01-02\"}}", "2026-11-22"),
        ("{{strftime \"%Y\"}}", "2026"),
        ("{{isotime | clean_resource_name}}", "2026-11-22T21-22-09Z"),
        ("{{upper \"aBc\"}}{{lower \"aBc\"}}", "ABCabc"),
        ("{{split \"a-b-c\" \"-\" 1}}", "b"),
        ("{{replace \".\" \"-\" 1 \"1.2.3\"}}", "1-2.3"),
        ("{{replace_all \".\" \"-\" \"1.2.3\"}}", "1-2-3"),
        ("{{\"1.2.3\" | replace_all \".\" \"-\" | upper}}", "1-2-3"),
        ("{{clean_resource_name \"é:a\"}}", "---a"),
        ("{{upper \"aß\"}}", "Aß"),
        ("{{replace_all \"\" \"-\" \"ab\"}}", "-a-b-"),
        ("{{split \"abc\" \"\" 2}}", "c"),
        (
            "{{isotime \"Mon Jan _2 15:04:05 MST 2006 .000 PM -0700 06 1 2 002\"}}",
            "Sun Nov 22 21:22:09 UTC 2026 .195 PM +0000 26 11 22 326",
        ),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn layouts_and_strftime() {
    for (millis, text) in [
        (0, "1970-01-01 001 Thursday"),
        (951_782_400_000, "2000-02-29 060 Tuesday"),
        (951_868_800_000, "2000-03-01 061 Wednesday"),
        (4_107_542_400_000, "2100-03-01 060 Monday"),
        (1_735_603_200_000, "2024-12-31 366 Tuesday"),
    ] {
        assert_eq!(layout::format("2006-01-02 002 Monday", millis), text);
    }
    assert_eq!(layout::format("3:04pm .999 ,00 Janet 1 _2006 __2", 43_200_120), "12:00pm .12 ,12 Janet 1 _1970   1");
    // 2021-01-03 is a Sunday, in ISO week 53 of 2020.
    assert_eq!(
        layout::strftime("%F %V %U %u %w %j %e|%k|%l %p %y %C%%", 1_609_632_000_000).unwrap(),
        "2021-01-03 53 01 7 0 003  3| 0|12 AM 21 20%"
    );
    assert_eq!(layout::strftime("%V", 1_609_718_400_000).unwrap(), "01");
    assert!(layout::strftime("%W", 0).is_err());
    assert!(layout::strftime("%", 0).is_err());
}

#[test]
fn errors_have_a_message_and_a_span() {
    for (text, message, at) in [
        ("a {{.Name", "this {{ is never closed with }}", "{{"),
        ("a {{end}}", "this {{end}} has no matching block", "{{end}}"),
        ("{{if .X}}a", "this block has no {{end}}", "{{"),
        ("{{else}}", "this {{else}} has no matching block", "{{else"),
        ("{{if 1}}{{else}}{{else}}{{end}}", "this block has a second {{else}}", "{{else"),
        ("{{}}", "a value is missing here", "}}"),
        ("{{\"a}}", "this string is never closed with \"", "\""),
        ("{{`a}}", "this string is never closed with `", "`"),
        ("{{\"\\q\"}}", "unknown escape sequence", "\\q"),
        ("{{'ab'}}", "single quotes hold exactly one character; write a string between \" or `", "'ab'"),
        ("{{$x}}", "the variable $x is not defined", "$x"),
        ("{{if 1}}{{$x := 1}}{{end}}{{$x}}", "the variable $x is not defined", "$x"),
        ("{{.A | .B}}", "expected a function after |", ".B"),
        ("{{.A 1}}", "only functions take arguments", ".A"),
        ("{{\"a\"\"b\"}}", "a space is needed before this", "\"b\""),
        ("{{1.5}}", "1.5 has a fraction; only integers are supported here", "1.5"),
        ("{{99999999999999999999}}", "99999999999999999999 is too large", "99999999999999999999"),
        ("{{(1}}", "this ( is never closed with )", "("),
        ("{{template \"x\"}}", "Go's `template` is not supported", "template"),
        ("{{nil}}", "nil cannot be used alone", "nil"),
        ("{{a ; b}}", "unexpected ';' between {{ and }}", ";"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert_eq!((error.message.as_str(), &text[error.span.range()]), (message, at), "{text}");
    }
    for (text, message, at) in [
        ("a {{.Name.X}}", "a string has no field .X", ".Name.X"),
        ("{{upper 1}}", "upper: takes one string, but was given an integer", "upper 1"),
        ("{{index .List 5}}", "index: the index 5 is outside of 0..2", "index .List 5"),
        ("{{printf \"%d\" \"a\"}}", "printf: %d cannot format a string", "printf \"%d\" \"a\""),
        ("{{range true}}{{end}}", "range cannot iterate over a bool", "true"),
        ("{{split \"a\" \"-\" 3}}", "split: there is no part 3, only parts 0 to 0", "split \"a\" \"-\" 3"),
        ("{{eq 1 \"1\"}}", "eq: an integer and a string cannot be compared", "eq 1 \"1\""),
        ("{{range 999999999}}a{{end}}", "the result is too large", "999999999"),
    ] {
        let error = Template::parse(text).unwrap().render(&Test(data())).unwrap_err();
        assert_eq!((error.message.as_str(), &text[error.span.range()]), (message, at), "{text}");
    }
}

#[test]
fn fields_and_functions_are_found_without_rendering() {
    let text = "{{user `a`}}{{.Name | upper}}{{with .Tags}}{{.a}}{{$.N}}{{end}}{{printf \"%s\" (user .X)}}";
    let template = Template::parse(text).unwrap();
    let fields: Vec<String> = template.fields().iter().map(|field| text[field.span.range()].to_owned()).collect();
    assert_eq!(fields, [".Name", ".Tags", "$.N", ".X"]);
    let calls = template.functions();
    let names: Vec<&str> = calls.iter().map(|call| &text[call.span.range()]).collect();
    assert_eq!(names, ["user", "upper", "user"]);
    assert_eq!(calls[0].arguments, [Some(Value::from("a"))]);
    assert_eq!(calls[2].arguments, [None]);
}

#[test]
fn known_calls_are_folded_and_the_rest_stays() {
    for (text, expected) in [
        ("{{user `a`}}-{{.X}}", "<a>-{{.X}}"),
        ("{{user `a` | upper}} {{- .X}}", "<A> {{- .X}}"),
        ("x {{- user `a`}}", "x {{- \"<a>\"}}"),
        ("{{printf \"%s %s\" (user `a`) .X}}", "{{printf \"%s %s\" (\"<a>\") .X}}"),
        ("{{if eq .X (user `a`)}}{{user `b`}}{{end}}", "{{if eq .X (\"<a>\")}}<b>{{end}}"),
        ("{{build `X` | upper}} {{(build `Y`)}}", "{{.X | upper}} {{(.Y)}}"),
        ("{{\" a \"}}", "{{\" a \"}}"),
        ("{{with $x := user `a`}}{{$x}}{{end}}", "{{with $x := \"<a>\"}}{{$x}}{{end}}"),
    ] {
        let folded = Template::parse(text).unwrap().fold(&Test(data())).unwrap();
        assert_eq!(folded, expected, "{text}");
        assert_eq!(Template::parse(&folded).unwrap().fold(&Test(data())).unwrap(), folded);
    }
}

#[test]
fn keep_fields_makes_lone_fields_literal() {
    let mut template = Template::parse("{{.A}} {{ .B }} {{1}} {{.C.D}}").unwrap();
    template.keep_fields();
    assert_eq!(template.render(&Test(Value::Nil)).unwrap(), "{{.A}} {{ .B }} 1 <no value>");
}

#[test]
fn deferred_templates_are_rendered_until_stable() {
    let mut data: BTreeMap<String, Value> = BTreeMap::new();
    data.insert("Device".into(), "/dev/{{.Name}}".into());
    data.insert("Name".into(), "xvdf".into());
    data.insert("Loop".into(), "{{.Loop}}x".into());
    data.insert("Brace".into(), "{{".into());
    data.insert("SourceAMITags".into(), Value::Map(BTreeMap::from([("OS".into(), "Debian".into())])));
    let render = |text: &str| deferred::render(text, &data, NOW).map_err(|error| error.to_string());
    assert_eq!(render("mount {{.Device}}").as_deref(), Ok("mount /dev/xvdf"));
    assert_eq!(render("{{.SourceAMITags.OS}} {{.SourceAMITags.X}}").as_deref(), Ok("Debian <no value>"));
    assert_eq!(render("{{index .SourceAMITags \"X\"}}").as_deref(), Ok(""));
    assert_eq!(render("{{isotime \"2006\" | lower}}").as_deref(), Ok("2026"));
    assert_eq!(
        render("{{.Devise}}").unwrap_err(),
        "cannot render \"{{.Devise}}\": there is no .Devise; known here: .Brace, .Device, .Loop, .Name, .SourceAMITags"
    );
    assert!(render("{{.Loop}}").unwrap_err().contains("still changing"));
    assert!(render("{{.Brace}}").unwrap_err().starts_with("cannot read the template \"{{\""));
    assert!(render("{{user `x`}}").unwrap_err().contains("there is no function `user` here"));
}

#[test]
fn nesting_and_output_are_bounded() {
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(Template::parse(&parens).is_err());
    let blocks = "{{if 1}}".repeat(5000);
    assert!(Template::parse(&blocks).is_err());
    let grow = format!("{{{{\"aaaaaaaaaa\"{}}}}}", " | replace_all \"a\" \"aaaaaaaaaa\"".repeat(12));
    assert!(render(&grow).unwrap_err().contains("too large"));
}

/// Tokens that often make a valid template, or nearly so.
fn tokens() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        ".",
        ".Name",
        "$x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        "\"a\"",
        "`b`",
        "'c'",
        "1",
        "-2",
        "0x",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "upper ",
        "user ",
        "printf ",
        "\"%s\"",
        "/*",
        "*/",
        ",",
        "é",
        "\\",
        "\"",
        "{{end}}",
        "{{.Name}}",
        "{{if .Yes}}",
        "nil",
        "true",
        "1.5",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_text_renders_without_panic(text in "\\PC*") {
        let _ = render(&text);
    }

    #[test]
    fn any_mix_of_tokens_renders_without_panic(text in tokens()) {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.render(&Test(data()));
            let _ = template.functions();
            // A folded template parses again, unless a value contains braces.
            if let Ok(folded) = template.fold(&Test(data())) && !text.contains("{{{{") {
                let _ = Template::parse(&folded);
            }
        }
        let _ = render_until_stable(&text, &Test(data()));
    }

    #[test]
    fn errors_point_into_the_text(text in tokens()) {
        if let Err(error) = Template::parse(&text) {
            prop_assert!(text.get(error.span.range()).is_some(), "{:?}", error);
        }
    }

    #[test]
    fn text_without_braces_renders_to_itself(text in "[^{}]*") {
        prop_assert_eq!(render(&text).unwrap(), text);
    }

    #[test]
    fn quoted_strings_parse_to_themselves(text in any::<String>()) {
        let template = Template::parse(&format!("{{{{{}}}}}", quote(&text))).unwrap();
        prop_assert_eq!(template.render(&Test(Value::Nil)).unwrap(), text);
    }

    #[test]
    fn any_layout_formats_without_panic(layout in "\\PC*", now in 0u64..4_000_000_000_000) {
        let _ = layout::format(&layout, now);
        let _ = layout::strftime(&layout, now);
    }

    #[test]
    fn every_day_follows_the_one_before(day in 0u64..60_000) {
        let date = |day: u64| layout::format("2006-01-02", day * 86_400_000);
        prop_assert!(date(day) < date(day + 1));
        let of_year: u64 = layout::format("002", day * 86_400_000).parse().unwrap();
        let next: u64 = layout::format("002", (day + 1) * 86_400_000).parse().unwrap();
        prop_assert!(next == of_year + 1 || (next == 1 && of_year >= 365));
    }
}
