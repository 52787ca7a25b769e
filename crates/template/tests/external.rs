//! Values that come from other services, and the limits of what a template may take.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

mod common;

use std::{fmt::Write as _, sync::Arc, time::Instant};

use bakehouse_template::External;
use common::{Fixture, messages, with_options};

/// Secrets of one web server.
#[derive(Debug)]
struct Store;

impl External for Store {
    fn secret(&self, name: &str) -> Result<String, String> {
        match name {
            "plain" => Ok("s3cret".to_owned()),
            "one" => Ok(r#"{"password": "hunter22"}"#.to_owned()),
            "two" => Ok(r#"{"user": "mo", "port": 5432}"#.to_owned()),
            other => Err(format!("there is no secret {other}")),
        }
    }

    fn vault(&self, path: &str, key: &str) -> Result<String, String> {
        Ok(format!("{path}#{key}"))
    }

    fn consul_key(&self, key: &str) -> Result<String, String> {
        Ok(format!("consul {key}"))
    }
}

/// Returns the description of an image that is this variable's value, and what must be masked.
fn value(variable: &str) -> Result<(String, Vec<String>), String> {
    let text = with_options(r#""ami_description": "{{user `x`}}""#);
    let text = text.replacen('{', &format!(r#"{{"variables": {{"x": "{variable}"}}, "#), 1);
    let mut fixture = Fixture::new(&text);
    fixture.request.external = Some(Arc::new(Store));
    let mut loaded = fixture.load().map_err(|problems| messages(&problems).remove(0).1)?;
    Ok((loaded.builds.remove(0).image.description.0, loaded.sensitive))
}

#[test]
fn secrets_are_read_and_masked() {
    for (variable, expected) in [
        ("{{aws_secretsmanager `plain`}}", "s3cret"),
        ("{{aws_secretsmanager `one`}}", "hunter22"),
        ("{{aws_secretsmanager `two` `port`}}", "5432"),
        ("{{aws_secretsmanager_raw `one`}}", r#"{"password": "hunter22"}"#),
        ("{{vault `secret/data/web` `key`}}", "secret/data/web#key"),
        ("{{consul_key `web/key`}}", "consul web/key"),
    ] {
        assert_eq!(value(variable), Ok((expected.to_owned(), vec![expected.to_owned()])), "{variable}");
    }
}

#[test]
fn a_secret_that_cannot_be_had_is_an_error() {
    for (variable, message) in [
        ("{{aws_secretsmanager `two`}}", "aws_secretsmanager: the secret two has 2 keys: name one of them"),
        ("{{aws_secretsmanager `one` `user`}}", "aws_secretsmanager: the secret one has no key user"),
        ("{{aws_secretsmanager `plain` `user`}}", "aws_secretsmanager: the secret plain has no keys, so no user"),
        ("{{aws_secretsmanager_raw `none`}}", "aws_secretsmanager_raw: there is no secret none"),
        ("{{vault `a`}}", "vault: takes a path and a key"),
    ] {
        assert_eq!(value(variable), Err(message.to_owned()), "{variable}");
    }
    let text = with_options("").replacen('{', r#"{"variables": {"x": "{{vault `a` `b`}}"}, "#, 1);
    let problems = Fixture::new(&text).load().unwrap_err();
    assert_eq!(messages(&problems)[0].1, "vault: no value can be had from outside here: set the variable with -var");
}

#[test]
fn packers_version_is_known() {
    assert_eq!(value("{{packer_version}}").unwrap().0, "1.16.0");
}

#[test]
fn huge_templates_are_refused_soon() {
    let began = Instant::now();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(messages(&Fixture::new(&deep).load().unwrap_err())[0].1, "this is not JSON: recursion limit exceeded");
    let fixture = Fixture::new("");
    let file = std::fs::File::create(fixture.directory.path().join("big.json")).unwrap();
    file.set_len(100 << 20).unwrap();
    let mut request = fixture.request.clone();
    request.template = bakehouse_template::TemplateSource::Path("big.json".into());
    let problems = bakehouse_template::load(&request).unwrap_err();
    assert_eq!(problems.errors[0].to_string(), "the template big.json cannot be read: it is larger than 4 MiB");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn variables_that_multiply_are_stopped() {
    let mut variables = String::from(r#""a0": "0123456789abcdef""#);
    for n in 1..60 {
        let before = n - 1;
        let _ = write!(variables, r#", "a{n}": "{{{{user `a{before}`}}}}{{{{user `a{before}`}}}}""#);
    }
    let text = with_options("").replacen('{', &format!(r#"{{"variables": {{{variables}}}, "#), 1);
    assert!(!messages(&Fixture::new(&text).load().unwrap_err()).is_empty());
    // One that is large, and many that are the same.
    let mut variables = format!(r#""b": "{}""#, "x".repeat(1 << 20));
    for n in 0..1000 {
        let _ = write!(variables, r#", "c{n}": "{{{{user `b`}}}}""#);
    }
    let text = with_options("").replacen('{', &format!(r#"{{"variables": {{{variables}}}, "#), 1);
    let found = messages(&Fixture::new(&text).load().unwrap_err());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, "the template's values are larger than 16 MiB");
}

#[test]
fn a_long_chain_of_variables_is_an_error() {
    let mut variables = String::from(r#""v0999": "x""#);
    for n in 0..999 {
        let _ = write!(variables, r#", "v{n:04}": "{{{{user `v{:04}`}}}}""#, n + 1);
    }
    let text = with_options("").replacen('{', &format!(r#"{{"variables": {{{variables}}}, "#), 1);
    let found = messages(&Fixture::new(&text).load().unwrap_err());
    assert!(found[0].1.starts_with("this is more than 100 variables deep"), "{:?}", found[0]);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let text = format!("\u{feff}{}", with_options(""));
    assert_eq!(Fixture::new(&text).load().unwrap().builds.len(), 1);
}
