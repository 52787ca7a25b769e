//! Templates that are too much.

use crate::{common::Fixture, variables::describing};

/// Returns the message of the only error of a template.
fn only_mistake(template: &str) -> String {
    let mut mistakes = Fixture::hcl(template).mistakes();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.remove(0).1
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), ("(", ")"), ("{a=", "}"), ("\"${", "}\""), ("upper(", ")"), ("!", "")] {
        let value = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let template = format!("locals {{\n  x = {value}\n}}\n");
        let mistakes = Fixture::hcl(&template).mistakes();
        assert!(!mistakes.is_empty(), "{open}");
    }
    let blocks = format!("{}{}", "a {\n".repeat(100_000), "}\n".repeat(100_000));
    assert!(only_mistake(&blocks).starts_with("this is not HCL: "));
    let json = format!("{{\"locals\": {{\"x\": {}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Fixture::new("").template("web.pkr.json", &json).mistakes()[0].1.starts_with("this is not JSON"));
}

#[test]
fn a_large_template_is_an_error() {
    let too_large = |name: &str| format!("{name} cannot be read: the files of the template are larger than 1 MiB");
    assert_eq!(only_mistake(&" ".repeat((1 << 20) + 1)), too_large("web.pkr.hcl"));
    let half = format!("# {}\n", " ".repeat(1 << 19));
    let fixture = Fixture::hcl(&half).file("a.pkr.hcl", &half).whole_directory();
    assert_eq!(fixture.mistakes()[0].1, too_large("web.pkr.hcl"));
    let message = only_mistake(&" ".repeat(bakehouse_template::MAX_BYTES + 1));
    assert_eq!(message, "the template web.pkr.hcl cannot be read: it is larger than 4 MiB");
}

#[test]
fn locals_that_grow_without_end_are_an_error() {
    let mut root = "locals {\n  a0 = \"0123456789\"\n".to_owned();
    for n in 1..100 {
        let before = n - 1;
        root.push_str(&format!("  a{n} = \"${{local.a{before}}}${{local.a{before}}}${{local.a{before}}}\"\n"));
    }
    let message = only_mistake(&describing(&format!("{root}}}"), "local.a99"));
    assert!(message.contains("too long or yields too much"), "{message}");
}

#[test]
fn long_chains_of_locals_are_evaluated() {
    let mut root = "locals {\n  a0 = \"x\"\n".to_owned();
    for n in 1..9000 {
        root.push_str(&format!("  a{n} = local.a{}\n", n - 1));
    }
    let template = describing(&format!("{root}}}"), "local.a8999");
    assert_eq!(Fixture::hcl(&template).build().image.description.0, "x");
    let cycle = template.replace("a0 = \"x\"", "a0 = local.a8999");
    assert!(only_mistake(&cycle).starts_with("`local.a0` refers to itself: "));
}
