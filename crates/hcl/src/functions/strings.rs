//! Functions on texts. Characters are grapheme clusters, as in HCL.

use std::fmt::Write as _;

use bakehouse_gotemplate::{Value as GoValue, functions as go};
use unicode_segmentation::UnicodeSegmentation as _;

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, types::to_text, value::Value};

type Result<T> = std::result::Result<T, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("chomp", &["text"], |a| Ok(a.text(0)?.trim_end_matches(['\r', '\n']).into())),
    Function::new("endswith", &["text", "suffix"], |a| Ok(a.text(0)?.ends_with(&*a.text(1)?).into())),
    Function::new("indent", &["spaces", "text"], indent),
    Function::new("join", &["separator", "list", "lists..."], join),
    Function::new("lower", &["text"], |a| change_case(a, "lower")),
    Function::new("replace", &["text", "old", "new"], replace),
    Function::new("split", &["separator", "text"], split),
    Function::new("startswith", &["text", "prefix"], |a| Ok(a.text(0)?.starts_with(&*a.text(1)?).into())),
    Function::new("strcontains", &["text", "part"], |a| Ok(a.text(0)?.contains(&*a.text(1)?).into())),
    Function::new("strrev", &["text"], |a| Ok(a.text(0)?.graphemes(true).rev().collect::<String>().into())),
    Function::new("substr", &["text", "offset", "length"], substr),
    Function::new("title", &["text"], title),
    Function::new("trim", &["text", "characters"], trim),
    Function::new("trimprefix", &["text", "prefix"], trimprefix),
    Function::new("trimspace", &["text"], |a| Ok(a.text(0)?.trim().into())),
    Function::new("trimsuffix", &["text", "suffix"], trimsuffix),
    Function::new("upper", &["text"], |a| change_case(a, "upper")),
];

/// Go's templates have the same function, so a deferred value stays one.
fn change_case(arguments: &Arguments<'_>, name: &str) -> Result<Value> {
    if let Value::Deferred(template) = arguments.value(0)
        && let Some(field) = template.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"))
        && field.starts_with('.')
        && field[1..].chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
    {
        return Ok(Value::Deferred(format!("{{{{{name} {field}}}}}")));
    }
    match go::call(name, &[GoValue::String(arguments.text(0)?.into_owned())]) {
        Some(Ok(GoValue::String(text))) => Ok(Value::String(text)),
        Some(Err(error)) => Err(Fault::new(error)),
        _ => Err(Fault::new("the text cannot be changed")),
    }
}

fn indent(arguments: &Arguments<'_>) -> Result<Value> {
    let spaces = arguments.count(0)?;
    let text = arguments.text(1)?;
    let lines = text.matches('\n').count();
    arguments.budget.spend_text(lines.saturating_mul(spaces))?;
    Ok(text.replace('\n', &format!("\n{}", " ".repeat(if lines == 0 { 0 } else { spaces }))).into())
}

/// Deferred values may be among the elements: the result is text that contains them.
fn join(arguments: &Arguments<'_>) -> Result<Value> {
    let separator = arguments.text(0)?;
    let (mut out, mut deferred, mut first) = (String::new(), false, true);
    for (index, _) in arguments.rest(1) {
        for (i, item) in arguments.list(index)?.iter().enumerate() {
            let text = match item {
                Value::Deferred(text) => {
                    deferred = true;
                    text.into()
                }
                item => to_text(item).map_err(|error| Fault::new(format!("element {i}: {error}")).argument(index))?,
            };
            arguments.budget.spend_text(separator.len() + text.len())?;
            if !std::mem::take(&mut first) {
                out.push_str(&separator);
            }
            out.push_str(&text);
        }
    }
    Ok(if deferred { Value::Deferred(out) } else { Value::String(out) })
}

fn replace(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, old, new) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    arguments.budget.spend_text(text.matches(&*old).count().saturating_mul(new.len()))?;
    Ok(text.replace(&*old, &new).into())
}

fn split(arguments: &Arguments<'_>) -> Result<Value> {
    let (separator, text) = (arguments.text(0)?, arguments.text(1)?);
    arguments.budget.spend(text.len() / 8)?;
    let parts: Vec<Value> = if separator.is_empty() {
        text.chars().map(|c| Value::String(c.into())).collect()
    } else {
        text.split(&*separator).map(Value::from).collect()
    };
    Ok(parts.into())
}

fn substr(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.text(0)?;
    let (offset, length) = (arguments.integer(1)?, arguments.integer(2)?);
    let start = if offset < 0 {
        let count = i64::try_from(text.graphemes(true).count()).unwrap_or(i64::MAX);
        usize::try_from(count.saturating_add(offset)).unwrap_or(0)
    } else {
        usize::try_from(offset).unwrap_or(usize::MAX)
    };
    // A negative length is that of the rest.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(text.graphemes(true).skip(start).take(length).collect::<String>().into())
}

/// As Go's `strings.Title`: the first letter of each word becomes a capital, the others stay.
fn title(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.text(0)?;
    let mut out = String::with_capacity(text.len());
    let mut within_word = false;
    for c in text.chars() {
        if within_word {
            out.push(c);
        } else {
            // Failing to write to a string is impossible.
            let _ = write!(out, "{}", c.to_uppercase());
        }
        within_word = c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace() && within_word);
    }
    Ok(out.into())
}

fn trim(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, characters) = (arguments.text(0)?, arguments.text(1)?);
    arguments.budget.spend(characters.len())?;
    let set: std::collections::HashSet<char> = characters.chars().collect();
    Ok(text.trim_matches(|c| set.contains(&c)).into())
}

fn trimprefix(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, prefix) = (arguments.text(0)?, arguments.text(1)?);
    Ok(text.strip_prefix(&*prefix).unwrap_or(&text).into())
}

fn trimsuffix(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, suffix) = (arguments.text(0)?, arguments.text(1)?);
    Ok(text.strip_suffix(&*suffix).unwrap_or(&text).into())
}
