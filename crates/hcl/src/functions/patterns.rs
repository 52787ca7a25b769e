//! Regular expressions. Their syntax is that of RE2, as in Go.

use std::collections::BTreeMap;

use regex::{Captures, Regex};

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("regex", &["pattern", "text"], regex),
    Function::new("regexall", &["pattern", "text"], regexall),
    Function::new("regex_replace", &["text", "pattern", "new"], regex_replace),
];

fn compile(arguments: &Arguments<'_>, index: usize, text: &str) -> Result<Regex, Fault> {
    let pattern = arguments.text(index)?;
    arguments.budget.spend((pattern.len() + 1).saturating_mul(text.len() / 256 + 1))?;
    Regex::new(&pattern).map_err(|error| {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Fault::new(format!("this is no regular expression: {why}")).argument(index)
    })
}

fn regex(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let text = arguments.text(1)?;
    let pattern = compile(arguments, 0, &text)?;
    check_groups(&pattern)?;
    match pattern.captures(&text) {
        Some(captures) => Ok(result(&pattern, &captures)),
        None => Err(Fault::new("no part of the text matches the pattern")
            .help("Use length(regexall(…)) > 0 to find out whether there is a match.")),
    }
}

fn regexall(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let text = arguments.text(1)?;
    let pattern = compile(arguments, 0, &text)?;
    check_groups(&pattern)?;
    let mut matches = Vec::new();
    for captures in pattern.captures_iter(&text) {
        let result = result(&pattern, &captures);
        arguments.budget.spend_value(&result)?;
        matches.push(result);
    }
    Ok(matches.into())
}

fn check_groups(pattern: &Regex) -> Result<(), Fault> {
    let named = pattern.capture_names().skip(1).flatten().count();
    if named > 0 && named < pattern.captures_len() - 1 {
        return Err(Fault::new("either all groups of the pattern have a name or none")
            .help("Write (?:…) for a group that is not to be in the result.")
            .argument(0));
    }
    Ok(())
}

/// Returns the text of a match: the whole if the pattern has no groups, else a list of them, or a map if they have
/// names. A group that is not part of the match is null.
fn result(pattern: &Regex, captures: &Captures<'_>) -> Value {
    let text = |group: usize| captures.get(group).map_or(Value::Null, |group| group.as_str().into());
    if captures.len() == 1 {
        return text(0);
    }
    let named: BTreeMap<String, Value> =
        pattern.capture_names().enumerate().filter_map(|(group, name)| Some((name?.to_owned(), text(group)))).collect();
    if named.is_empty() { Value::List((1..captures.len()).map(text).collect()) } else { Value::Map(named) }
}

fn regex_replace(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let (text, new) = (arguments.text(0)?, arguments.text(2)?);
    let pattern = compile(arguments, 1, &text)?;
    let mut out = String::new();
    let mut end = 0;
    for captures in pattern.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[end..whole.start()]);
        let before = out.len();
        captures.expand(&new, &mut out);
        arguments.budget.spend_text(out.len() - before)?;
        end = whole.end();
    }
    out.push_str(&text[end..]);
    Ok(out.into())
}
