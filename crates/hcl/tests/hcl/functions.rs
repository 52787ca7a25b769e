//! Every function, by the values that Packer gives.

use super::support::{Machine, assert_errors, assert_values, evaluate, evaluate_on};

#[test]
fn functions_on_texts() {
    assert_values(&[
        ("chomp(\"a\\r\\n\\n\")", "\"a\""),
        ("endswith(\"web.img\", \".img\")", "true"),
        ("indent(2, \"a\\nb\\n\")", "\"a\\n  b\\n  \""),
        ("join(\",\", [\"a\", 1, true], [\"b\"])", "\"a,1,true,b\""),
        ("lower(\"ABC É\")", "\"abc é\""),
        ("upper(\"straße\")", "\"STRAßE\""),
        ("replace(\"1.2.3\", \".\", \"-\")", "\"1-2-3\""),
        ("replace(\"a/b\", \"/./\", \"x\")", "\"a/b\""),
        ("split(\",\", \"a,b,\")", "[\"a\", \"b\", \"\"]"),
        ("split(\"\", \"日本\")", "[\"日\", \"本\"]"),
        ("startswith(\"web.img\", \"web\")", "true"),
        ("strcontains(\"web.img\", \"b.i\")", "true"),
        ("strrev(\"日本e\\u0301\")", "\"e\\u0301本日\""),
        ("substr(\"hello\", 1, 3)", "\"ell\""),
        ("substr(\"hello\", -3, -1)", "\"llo\""),
        ("substr(\"hello\", 9, 1)", "\"\""),
        ("title(\"hello wide-open o'neil under_score\")", "\"Hello Wide-Open O'Neil Under_score\""),
        ("trim(\"?!hello?!\", \"!?\")", "\"hello\""),
        ("trimprefix(\"aab\", \"a\")", "\"ab\""),
        ("trimspace(\" \\n a \")", "\"a\""),
        ("trimsuffix(\"a.img\", \".img\")", "\"a\""),
    ]);
}

#[test]
fn patterns_are_regular_expressions() {
    assert_values(&[
        ("regex(\"[a-z]+\", \"53453453.345345aaabbbccc23454\")", "\"aaabbbccc\""),
        ("regex(\"(\\\\d+)-(x)?\", \"a12-\")", "[\"12\", null]"),
        ("regex(\"(?P<y>\\\\d{4})-(?P<m>\\\\d\\\\d)\", \"2026-11\")", "{ y = \"2026\", m = \"11\" }"),
        ("regexall(\"[a-z]\", \"1a2b\")", "[\"a\", \"b\"]"),
        ("regexall(\"z\", \"1a2b\")", "[]"),
        ("regex_replace(timestamp(), \"[- TZ:]\", \"\")", "\"20261122212209\""),
        ("regex_replace(\"ab\", \"(a)(b)\", \"$2$1\")", "\"ba\""),
        ("regex_replace(\"ab\", \"(a)\", \"$${1}x\")", "\"axb\""),
    ]);
}

#[test]
fn functions_on_lists() {
    assert_values(&[
        ("alltrue([true, \"true\"])", "true"),
        ("alltrue([])", "true"),
        ("anytrue([false, null])", "false"),
        ("chunklist([1, 2, 3], 2)", "[[1, 2], [3]]"),
        ("coalesce(null, \"\", \"b\")", "\"b\""),
        ("coalesce(1, \"b\")", "\"1\""),
        ("coalescelist([], [1])", "[1]"),
        ("compact([\"a\", \"\", null])", "[\"a\"]"),
        ("concat([1], [\"a\"], [])", "[1, \"a\"]"),
        ("contains(var.list, \"b\")", "true"),
        ("contains([\"1\"], 1)", "false"),
        ("distinct([1, 2, 1])", "[1, 2]"),
        ("distinct([1, \"1\"])", "[\"1\"]"),
        ("element(var.list, 4)", "\"b\""),
        ("element(var.list, -1)", "\"c\""),
        ("flatten([1, [2, [3, []]]])", "[1, 2, 3]"),
        ("index(var.list, \"c\")", "2"),
        ("length(\"日本\")", "2"),
        ("length(\"e\\u0301\")", "1"),
        ("length(var.list) + length(var.tags)", "5"),
        ("range(3)", "[0, 1, 2]"),
        ("range(3, 1)", "[3, 2]"),
        ("range(0, 1, 0.5)", "[0, 0.5]"),
        ("reverse([1, \"a\"])", "[\"a\", 1]"),
        ("slice(var.list, 1, 3)", "[\"b\", \"c\"]"),
        ("sort([\"b\", \"a\", 10])", "[\"10\", \"a\", \"b\"]"),
        ("sum([1, \"2.5\"])", "3.5"),
        ("max(1, 12, 2) - min([3, 1, 2]...)", "11"),
    ]);
}

#[test]
fn functions_on_sets_and_maps() {
    assert_values(&[
        ("setintersection([\"c\", \"a\", \"b\"], [\"b\", \"c\"], [\"c\", \"b\"])", "[\"b\", \"c\"]"),
        ("setunion([\"b\"], [\"a\", \"b\"])", "[\"a\", \"b\"]"),
        ("setproduct([\"b\", \"a\"], [1, 2])", "[[\"b\", 1], [\"b\", 2], [\"a\", 1], [\"a\", 2]]"),
        ("keys(var.tags)", "[\"Env\", \"Name\"]"),
        ("values(var.tags)", "[\"prod\", \"web\"]"),
        ("lookup(var.tags, \"Env\", \"x\")", "\"prod\""),
        ("lookup(var.tags, \"Nope\", \"x\")", "\"x\""),
        ("merge({ a = 1, b = 2 }, null, { b = 3 })", "{ a = 1, b = 3 }"),
        ("zipmap([\"a\", \"b\"], [1, 2])", "{ a = 1, b = 2 }"),
    ]);
}

#[test]
fn functions_on_numbers() {
    assert_values(&[
        ("abs(-1.5)", "1.5"),
        ("ceil(1.2)", "2"),
        ("ceil(-1.2)", "-1"),
        ("floor(-1.2)", "-2"),
        ("log(16, 2)", "4"),
        ("parseint(\"ff\", 16) + parseint(\"-101\", 2)", "250"),
        ("parseint(\"zZ\", 62)", "2231"),
        ("pow(2, 10)", "1024"),
        ("signum(-3)", "-1"),
    ]);
}

#[test]
fn format_has_the_verbs_of_go() {
    assert_values(&[
        ("format(\"%s-%03d %% %q\", \"a\", 7, \"b\\\"\")", r#""a-007 % \"b\\\"\"""#),
        ("format(\"%5s|%-5s|%.2s\", \"a\", \"b\", \"abc\")", "\"    a|b    |ab\""),
        ("format(\"%x %X %o %b %#x\", 255, 255, 8, 5, 10)", "\"ff FF 10 101 0xa\""),
        (
            "format(\"%f %.1f %6.2f %e %g\", 1.5, 2.25, 3, 1234.5, 0.00001)",
            "\"1.500000 2.2   3.00 1.234500e+03 1e-05\"",
        ),
        ("format(\"%+d % d %05d\", 1, 2, -3)", "\"+1  2 -0003\""),
        ("format(\"%v %v %v %#v\", 1.5, true, [1], \"x\")", "\"1.5 true [1] \\\"x\\\"\""),
        ("format(\"%v\", 1000000)", "\"1e+06\""),
        ("format(\"%[2]s %[1]s\", \"a\", \"b\")", "\"b a\""),
        ("format(\"%t\", \"true\")", "\"true\""),
        ("formatlist(\"%s/%d\", [\"a\", \"b\"], 3)", "[\"a/3\", \"b/3\"]"),
    ]);
}

#[test]
fn functions_on_encodings() {
    assert_values(&[
        ("base64encode(\"Hello\")", "\"SGVsbG8=\""),
        ("base64decode(\"SGVsbG8=\")", "\"Hello\""),
        ("substr(base64gzip(\"Hello\"), 0, 4)", "\"H4sI\""),
        ("csvdecode(\"a,b\\n1,\\\"x,y\\\"\\n\")", "[{ a = \"1\", b = \"x,y\" }]"),
        ("jsondecode(\"{\\\"a\\\": [1.50, null, true]}\")", "{ a = [1.5, null, true] }"),
        ("jsondecode(\"12345678901234567890123\") + 1", "parseint(\"12345678901234567890124\", 10)"),
        (
            "jsonencode({ b = [1, null], a = \"<x> & \\\"y\\\"\" })",
            r#""{\"a\":\"\\u003cx\\u003e \\u0026 \\\"y\\\"\",\"b\":[1,null]}""#,
        ),
        ("textencodebase64(\"Hi\", \"UTF-16LE\")", "\"SABpAA==\""),
        ("textdecodebase64(\"SABpAA==\", \"utf-16le\")", "\"Hi\""),
        ("textencodebase64(\"é\", \"ISO-8859-1\")", "\"6Q==\""),
        ("urlencode(\"a b&ü/~\")", "\"a+b%26%C3%BC%2F~\""),
    ]);
}

#[test]
fn yaml_is_written_in_block_style() {
    assert_values(&[
        (
            "yamlencode({ foo = [1, 2], bar = \"baz\", no = null })",
            "\"\\\"bar\\\": \\\"baz\\\"\\n\\\"foo\\\":\\n- 1\\n- 2\\n\\\"no\\\": null\\n\"",
        ),
        ("yamlencode([{ a = 1, b = [[2]] }, [], {}])", "\"- \\\"a\\\": 1\\n  \\\"b\\\":\\n  - - 2\\n- []\\n- {}\\n\""),
        (
            "yamlencode({ a = { b = \"x\\ny\\n\" }, c = \"p\\nq\" })",
            "\"\\\"a\\\":\\n  \\\"b\\\": |\\n    x\\n    y\\n\\\"c\\\": |-\\n  p\\n  q\\n\"",
        ),
        ("yamlencode(\"a\\tb\")", "\"\\\"a\\\\tb\\\"\\n\""),
    ]);
}

#[test]
fn yaml_is_read_by_the_rules_of_its_scalars() {
    assert_values(&[
        (
            "yamldecode(\"a: 1\\nb: [yes, 'yes', 0x1F, 010, 1.50, ~, 2026-01-02]\")",
            "{ a = 1, b = [true, \"yes\", 31, 10, 1.5, null, \"2026-01-02T00:00:00Z\"] }",
        ),
        (
            "yamldecode(\"a: &x {k: 1}\\nb: *x\\nc: {<<: *x, l: 2}\")",
            "{ a = { k = 1 }, b = { k = 1 }, c = { k = 1, l = 2 } }",
        ),
        ("yamldecode(\"x: |\\n  a\\n  b\\n\")", "{ x = \"a\\nb\\n\" }"),
        ("yamldecode(\"!!str 12\")", "\"12\""),
        ("yamldecode(yamlencode(var.disks)) == var.disks", "true"),
    ]);
}

#[test]
fn times_in_yaml_are_written_by_rfc_3339() {
    for (text, wanted) in [
        ("2026-01-02T10:00:00Z", "2026-01-02T10:00:00Z"),
        ("2026-01-02t10:00:00.25+01:30", "2026-01-02T10:00:00+01:30"),
        ("2026-01-02T10:00:00-00:00", "2026-01-02T10:00:00Z"),
        ("2026-01-02 10:00:00.25", "2026-01-02T10:00:00Z"),
        ("2026-01-02", "2026-01-02T00:00:00Z"),
    ] {
        assert_eq!(evaluate(&format!("yamldecode(\"{text}\")")), Ok(wanted.into()), "{text}");
        assert_eq!(evaluate(&format!("yamldecode(\"!!timestamp {text}\")")), Ok(wanted.into()), "{text}");
    }
}

#[test]
fn other_forms_of_times_in_yaml_stay_texts() {
    for text in [
        "2026-01-02T10:00:00+01",
        "2026-01-02T10:00:00+0100",
        "2026-01-02T10:00:00+01:00:00",
        "2026-01-02T10:00:00+01:00[Europe/Paris]",
        "2026-01-02T10:00:00[Europe/Paris]",
        "2026-01-02 10:00:00[Europe/Paris]",
        "2026-01-02[Europe/Paris]",
        "2026-01-02T10:00:00",
        "2026-01-02T10:00+01:00",
        "2026-01-02 10:00",
        "2026-01-02 10:00:00Z",
        "2026-01-02 10:00:00+01:00",
        "2026-02-30T10:00:00Z",
        "2026-01-02é",
        "2026-01-0é",
    ] {
        assert_eq!(evaluate(&format!("yamldecode(\"{text}\")")), Ok(text.into()), "{text}");
    }
}

#[test]
fn hashes_and_identifiers() {
    assert_values(&[
        ("md5(\"hello\")", "\"5d41402abc4b2a76b9719d911017c592\""),
        ("sha1(\"hello\")", "\"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d\""),
        ("sha256(\"hello\")", "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""),
        ("substr(sha512(\"hello\"), 0, 16)", "\"9b71d224bd62f378\""),
        ("uuidv4()", "\"00010203-0405-4607-8809-0a0b0c0d0e0f\""),
        ("uuidv5(\"dns\", \"www.terraform.io\")", "\"a5008fae-b28c-5ba5-96cd-82b4c53552d6\""),
        ("substr(bcrypt(\"hello\", 4), 0, 7)", "\"$2a$04$\""),
    ]);
}

/// A key made for this test.
const PRIVATE_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQC994yaqkSYkDFghpP4JQa+Kmjh6wzDUFfqiYgJjXVnMy+Xg/It
SNdhc0euQqmRT4McXw+c73342BsN+z05kB+htCZe1ZbVNK50VFXxGwhOyIzyg+cI
ffHkp4eIZ4EqFqKbRCSl97+TlIqUK18a7/Bs8eCxIkzzba4ksLk3f3cODQIDAQAB
AoGBAJcteSTg2eQ75D+3+evhs4MFByC7SRXqS3zn5G4NuF/fmUFQDRvCuzzfXC0u
+fkdOO8MK8WtxieR+73dsjSsIK7UPPQgnqfBOX4qXrL6eL6W1F7NvXNhx4lUUZa1
ZPvreYbfX5NX54Y93pdwEl2CN+iVmrvRRD1NSV9VEo3n4Gu1AkEA7kj797cJwv35
1uiQXNeq8NkG57isfD/UVhgQ0vVOSRXaq98dH/Gz3t10iccU7oU962YAOd/Buq36
qKPcZUMtDwJBAMwW+uhsa3rLFxRyMj/Rid/EgLzqDYi/N8Sbi3lp+BpPkRxqI2IP
oG7WoLwdefHwuAwGNOaju+dcUncVZS6jyyMCQD0kHQMCxE50PJcYNXKdJA+IoGz0
xc1b03AD3M1EhEHcia9wIFkB+9VDnZN8sbJCHhE4qvYuo9byrU54PST+h6ECQQCZ
uaV8dE3wzBCyYeHfmCFV31lo8pMHMaD8An1oEp3Ck7Qlxvyn3EVnt1qS11EHH95B
kFtAbowWlL+42vC/1LgpAkAAzqbub6kg2HqxKINg3VsH8EOoQEnnwDIFYcz8M7QN
rWHhs8iTyJ1+ojswElZ6WXO3QMe1iX1Jy/YV7a7Urikh
-----END RSA PRIVATE KEY-----
";

#[test]
fn rsadecrypt_takes_a_key_in_pem() {
    let ciphertext = "l8wC/clHTzr2bMsKQnf1yCB5bpSOD+jbCl/wnR8f5uk54/9bvD+NGnHYsABYZXmu/a2BCwfxYGwyIUchxT+nQkcbGrLXlH92uSm46OSE5mYn1juZs7jTM1QK2BfSNQu5bBLk6KNR6aZKsLxOA3ihqiVmZnuIQUUE1IBLM7MiZU4=";
    let call = |ciphertext: &str, key: &str| evaluate(&format!("rsadecrypt({ciphertext:?}, {key:?})"));
    assert_eq!(call(ciphertext, PRIVATE_KEY), Ok("secret".into()));
    assert!(call("AAAA", PRIVATE_KEY).unwrap_err().message.contains("cannot be decrypted with this key"));
    assert!(call(ciphertext, "no key").unwrap_err().message.contains("this is no RSA private key"));
}

#[test]
fn times_are_written_by_rfc_3339() {
    assert_values(&[
        ("timestamp()", "\"2026-11-22T21:22:09Z\""),
        ("formatdate(\"YYYYMMDDhhmmss\", timestamp())", "\"20261122212209\""),
        (
            "formatdate(\"EEE, D MMM YY 'at' HH:mm aa ''ZZZ\", \"2026-01-02T03:04:05-07:00\")",
            "\"Fri, 2 Jan 26 at 03:04 am '-0700\"",
        ),
        ("formatdate(\"hh:mm Z\", timestamp())", "\"21:22 Z\""),
        ("timeadd(\"2026-11-22T00:00:00Z\", \"-1h30m\")", "\"2026-11-21T22:30:00Z\""),
        ("timeadd(\"2026-11-22T00:00:00+02:00\", \"10m\")", "\"2026-11-22T00:10:00+02:00\""),
        ("legacy_isotime(\"2006-01-02 Monday\")", "\"2026-11-22 Sunday\""),
        ("legacy_isotime()", "\"2026-11-22T21:22:09Z\""),
        ("legacy_strftime(\"%Y-%m\")", "\"2026-11\""),
        ("rfc3339_parse(\"2026-11-22T21:22:09Z\").unix", "1795382529"),
        ("rfc3339_parse(\"2023-07-25 23:43:16.5+02:00\").hour", "23"),
        ("unix_timestamp_parse(1795382529).rfc3339", "\"2026-11-22T21:22:09Z\""),
        ("unix_timestamp_parse(0)[\"weekday_name\"]", "\"Thursday\""),
        ("unix_timestamp_parse(0).iso_week", "1"),
    ]);
}

#[test]
fn networks_are_divided() {
    assert_values(&[
        ("cidrhost(\"10.12.127.0/20\", 16)", "\"10.12.112.16\""),
        ("cidrhost(\"10.12.127.0/20\", -1)", "\"10.12.127.255\""),
        ("cidrhost(\"fd00:fd12:3456:7890:00a2::/72\", 34)", "\"fd00:fd12:3456:7890::22\""),
        ("cidrnetmask(\"172.16.0.0/12\")", "\"255.240.0.0\""),
        ("cidrsubnet(\"172.16.0.0/12\", 4, 2)", "\"172.18.0.0/16\""),
        ("cidrsubnet(\"fd00:fd12:3456:7890::/56\", 16, 162)", "\"fd00:fd12:3456:7800:a200::/72\""),
        (
            "cidrsubnets(\"10.1.0.0/16\", 4, 4, 8, 4)",
            "[\"10.1.0.0/20\", \"10.1.16.0/20\", \"10.1.32.0/24\", \"10.1.48.0/20\"]",
        ),
        ("cidrsubnets(\"10.1.0.0/16\")", "[]"),
    ]);
}

fn machine() -> Machine {
    Machine {
        files: [
            ("/work/templates/a.txt", b"a\n".as_slice()),
            ("/work/templates/d/b.sh", b"echo ${name}"),
            ("/work/templates/d/e/c.sh", b""),
            ("/work/templates/list.tpl", b"%{ for x in items ~}\n- ${x}\n%{ endfor ~}\n"),
            ("/work/templates/bad.tpl", b"\n${nmae}"),
            ("/work/templates/again.tpl", b"${templatefile(\"a.txt\", {})}"),
            ("/work/b.bin", b"\xff\x00"),
        ]
        .into(),
        ..Machine::default()
    }
}

#[test]
fn files_are_relative_to_the_template() {
    for (text, wanted) in [
        ("file(\"a.txt\")", "\"a\\n\""),
        ("file(\"./d/../a.txt\")", "\"a\\n\""),
        ("fileexists(\"d/b.sh\")", "true"),
        ("fileexists(\"d/x.sh\")", "false"),
        ("filebase64(\"b.bin\")", "\"/wA=\""),
        ("fileset(\".\", \"**/*.sh\")", "[\"d/b.sh\", \"d/e/c.sh\"]"),
        ("fileset(\"d\", \"*.{sh,txt}\")", "[\"b.sh\"]"),
        ("fileset(\"nowhere\", \"*\")", "[]"),
        ("templatefile(\"d/b.sh\", { name = \"x\" })", "\"echo x\""),
        ("abspath(\"x/../y\")", "\"/work/y\""),
        ("basename(\"/a/b.txt\")", "\"b.txt\""),
        ("dirname(\"/a/b.txt\")", "\"/a\""),
        ("dirname(\"b.txt\")", "\".\""),
        ("pathexpand(\"~/x\")", "\"/home/ann/x\""),
        ("pathexpand(\"x\")", "\"x\""),
    ] {
        let value = evaluate_on(&machine(), text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value, evaluate(wanted).unwrap(), "{text}");
    }
}

#[test]
fn an_error_in_a_file_names_its_line() {
    for (text, message) in [
        ("templatefile(\"bad.tpl\", { name = 1 })", "templatefile: bad.tpl, line 2: there is no nmae"),
        (
            "templatefile(\"again.tpl\", {})",
            "templatefile: again.tpl, line 1: templatefile: this cannot be called within a file of templatefile",
        ),
        ("file(\"x\")", "file: the file /work/templates/x cannot be read: entity not found"),
    ] {
        assert_eq!(evaluate_on(&machine(), text).unwrap_err().message, message, "{text}");
    }
}

#[test]
fn attempts_and_conversions() {
    assert_values(&[
        ("try(var.nope, var.list[9], \"x\")", "\"x\""),
        ("can(var.nope)", "false"),
        ("can(var.name)", "true"),
        ("convert(\"12\", number)", "12"),
        ("convert([1, \"a\"], list(string))", "[\"1\", \"a\"]"),
        ("convert([\"b\", \"a\", \"b\"], set(string))", "[\"a\", \"b\"]"),
        ("convert({ a = 1 }, map(string))", "{ a = \"1\" }"),
        ("convert({ a = 1, x = 2 }, object({ a = string, b = optional(number, 3) }))", "{ a = \"1\", b = 3 }"),
        ("convert(null, bool)", "null"),
    ]);
}

#[test]
fn wrong_arguments_are_pointed_at() {
    assert_errors(&[
        ("convert(\"x\", number)", "\"x\"", "convert: a number is required, but \"x\" is not a number"),
        ("convert([[1]], list(string))", "[[1]]", "convert: [0]: a string is required, but this is a list"),
        ("convert(1, strng)", "strng", "there is no type strng; Did you mean string?"),
        ("range(1000000)", "range(1000000)", "range: the range has more than 1024 elements"),
        ("join(\",\", [[1]])", "[[1]]", "join: element 0: a string is required, but this is a list"),
        ("regex(\"(\", \"a\")", "\"(\"", "regex: this is no regular expression: unclosed group"),
        ("element([], 0)", "[]", "element: the list is empty"),
        ("format(\"%d\", 1.5)", "format(\"%d\", 1.5)", "format: %d: an integer is required, but this is 1.5"),
        ("format(\"%s\")", "format(\"%s\")", "format: there is no value for %s: 0 are given"),
        ("jsondecode(\"{\")", "\"{\"", "jsondecode: this is not JSON: EOF while parsing an object at line 1 column 1"),
        ("cidrhost(\"10.0.0.0/30\", 4)", "4", "cidrhost: the network has no host 4, but only 4"),
        (
            "formatdate(\"YYY\", timestamp())",
            "\"YYY\"",
            "formatdate: \"YYY\" is no element of a date; Write YYYY, MM, DD, hh, mm, ss or Z, and put other text between single quotes: 'T'.",
        ),
        (
            "timeadd(timestamp(), \"1 day\")",
            "\"1 day\"",
            "timeadd: \"1 day\" is no duration; Write 1h30m, -10s or 500ms; the units are h, m, s, ms, us and ns.",
        ),
        ("parseint(\"12\", 2)", "\"12\"", "parseint: \"12\" is no integer in base 2"),
        ("tostring(1)", "tostring", "there is no function tostring; Write convert(…, string)."),
        ("max([1, 2])", "[1, 2]", "max: a number is required, but this is a list"),
        ("try(var.nope)", "try(var.nope)", "try: no argument has a value: there is no attribute nope"),
    ]);
}

#[test]
fn deferred_values_can_only_be_put_into_text() {
    use bakehouse_hcl::Value;
    for (text, template) in [
        ("build.SourceAMI", "{{.SourceAMI}}"),
        ("\"from ${build.SourceAMI} (${var.size})\"", "from {{.SourceAMI}} (8)"),
        ("upper(build.SourceAMI)", "{{upper .SourceAMI}}"),
        ("true ? build.SourceAMI : \"x\"", "{{.SourceAMI}}"),
        ("join(\"-\", [\"a\", build.SourceAMI])", "a-{{.SourceAMI}}"),
        ("format(\"%s/%d\", build.SourceAMI, 1)", "{{.SourceAMI}}/1"),
        ("convert(build.SourceAMI, string)", "{{.SourceAMI}}"),
        ("try(replace(build.SourceAMI, \"a\", \"b\"), build.SourceAMI)", "{{.SourceAMI}}"),
    ] {
        assert_eq!(evaluate(text), Ok(Value::Deferred(template.to_owned())), "{text}");
    }
    let message = "this is known only while the build runs, so it can only be put into text: \"${…}\"";
    for (text, prefix) in [
        ("build.SourceAMI == \"x\"", ""),
        ("replace(build.SourceAMI, \"a\", \"b\")", "replace: "),
        ("build.SourceAMI ? 1 : 2", "the condition: "),
        ("length(build.SourceAMI)", "length: "),
        ("jsonencode([build.SourceAMI])", "jsonencode: "),
        ("build.SourceAMI[0]", ""),
        ("[for x in build.SourceAMI : x]", ""),
    ] {
        assert_eq!(evaluate(text).unwrap_err().message, format!("{prefix}{message}"), "{text}");
    }
}

#[test]
fn every_function_of_packer_is_there() {
    let outside = ["aws_secretsmanager", "aws_secretsmanager_raw", "consul_key", "vault"];
    let names: Vec<&str> =
        bakehouse_hcl::functions::names().chain(outside).chain(["try", "can", "convert", "templatefile"]).collect();
    assert_eq!(names.len(), 103);
}
