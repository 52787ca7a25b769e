//! The values of the variables: defaults, then the environment, variable files and the command line.

use std::{collections::BTreeMap, sync::Arc};

use bakehouse_hcl as hcl;
use bakehouse_hcl::{Type, Value, nearest};
use bakehouse_protocol::mask::{self, Mask};

use super::{
    evaluation::{Evaluation, Shared, references},
    literal,
    names::{Names, State},
    syntax::{Body, Document, Item, Role},
    variables::{Default, Variable, Variables},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    inputs::Usage,
    request::LoadRequest,
    source::{Location, SourceText},
    tree::SourceString,
};

/// The prefix of the environment variables that set variables.
pub(super) const PREFIX: &str = "PKR_VAR_";

/// A value that is set outside of the template.
struct Assignment {
    /// `None` if it can't be read, which has been reported.
    value: Option<Value>,
    location: Location,
    /// What it is in messages: `-var x`.
    origin: String,
}

/// Sets `var`: the last of the values that are given for each variable, converted to its type. Returns those that are
/// sensitive.
pub(super) fn assign(
    variables: &Variables<'_>,
    files: &[Document],
    request: &LoadRequest,
    usage: &Usage,
    names: &mut Names,
    diagnostics: &Diagnostics,
) -> Vec<String> {
    let mut given: BTreeMap<&str, Vec<Assignment>> = BTreeMap::new();
    for (name, variable) in variables {
        let key = format!("{PREFIX}{name}");
        usage.record_environment(&key);
        if let Some(text) = request.context.environment.get(&key) {
            given.entry(name).or_default().push(from_text(variable, &key, text, diagnostics));
        }
    }
    for file in files {
        read_file(&file.body(), variables, &mut given, diagnostics);
    }
    for (name, text) in &request.vars {
        let Some((name, variable)) = variables.get_key_value(name) else {
            undeclared(name, variables, diagnostics);
            continue;
        };
        let origin = format!("-var {name}");
        given.entry(name).or_default().push(from_text(variable, &origin, text, diagnostics));
    }
    let mut sensitive = Vec::new();
    for (name, variable) in variables {
        let value = value(variable, given.remove(name.as_str()).unwrap_or_default(), diagnostics);
        if let (true, Some(value)) = (variable.is_sensitive, &value) {
            hide(&format!("variable `{name}`"), value, &mut sensitive, diagnostics);
        }
        let state = if value.is_some() { State::Known } else { State::Invalid };
        names.set("var", &[name], value.unwrap_or(Value::Null), state);
    }
    sensitive
}

/// Adds the texts in a value to those that must be masked. Warns if one is too short for that.
pub(super) fn hide(what: &str, value: &Value, sensitive: &mut Vec<String>, diagnostics: &Diagnostics) {
    let text = match value {
        Value::Null | Value::Bool(_) => return,
        Value::Number(number) => number.to_string(),
        Value::String(text) | Value::Deferred(text) => text.clone(),
        Value::List(items) => return items.iter().for_each(|item| hide(what, item, sensitive, diagnostics)),
        Value::Map(items) => return items.values().for_each(|item| hide(what, item, sensitive, diagnostics)),
    };
    if text.is_empty() {
        return;
    }
    if !Mask::hides(&text) {
        // Without a location: the lines around it may show the value.
        let least = mask::MIN_LENGTH;
        let message =
            format!("a value of the sensitive {what} is shorter than {least} bytes and is not hidden in output");
        diagnostics.add(Diagnostic::warning_without_location(message));
    }
    sensitive.push(text);
}

fn value(variable: &Variable<'_>, given: Vec<Assignment>, diagnostics: &Diagnostics) -> Option<Value> {
    let name = &variable.name;
    let mut last = match &variable.default {
        Default::Value(value) => Some(value.clone()),
        Default::None | Default::Invalid => None,
    };
    if given.is_empty() && variable.default == Default::None {
        diagnostics.add(
            Diagnostic::error(&name.location, format!("the variable `{}` must be set", name.value))
                .label("it has no default")
                .help(format!("Set it with -var '{0}=…', in a variable file or as {PREFIX}{0}.", name.value)),
        );
        return None;
    }
    for Assignment { value, location, origin } in given {
        last = value.and_then(|value| match variable.of.convert(value) {
            Ok(value) => Some(value),
            Err(error) => {
                diagnostics.add(wrong_type(variable, &location, &origin, &error.to_string()));
                None
            }
        });
    }
    last
}

/// Returns the error about a value of the wrong type. That of a sensitive variable is not shown.
fn wrong_type(variable: &Variable<'_>, location: &Location, origin: &str, why: &str) -> Diagnostic {
    let Variable { name, of, .. } = variable;
    let message = format!("the value of the variable `{}` is not of the type {of}", name.value);
    if variable.is_sensitive {
        return Diagnostic::error(&name.location, message).label(format!("its value is set by {origin}"));
    }
    let example = match of {
        Type::Bool => "Write true or false.".to_owned(),
        Type::Number => "Write a number.".to_owned(),
        other => format!("Write a value of the type {other}."),
    };
    Diagnostic::error(location, message).label(why.to_owned()).help(example)
}

/// Reads a value from the environment or the command line.
fn from_text(variable: &Variable<'_>, origin: &str, text: &str, diagnostics: &Diagnostics) -> Assignment {
    let location = SourceString::without_file(origin, text).location;
    let assignment = |value| Assignment { value, location: location.clone(), origin: origin.to_owned() };
    if variable.is_given_literally {
        return assignment(Some(text.into()));
    }
    let parsed = hcl::parse_expression(text).map_err(|error| (error.span, error.message, error.help));
    let value = parsed.and_then(|expression| {
        hcl::evaluate_literal(&expression).map_err(|error| (error.span, error.message, error.help))
    });
    match value {
        Ok(value) => assignment(Some(value)),
        Err((span, message, help)) => {
            diagnostics.add(if variable.is_sensitive {
                unreadable(variable, origin)
            } else {
                let help = help.unwrap_or_else(|| example(variable).to_owned());
                Diagnostic::error(&Location::new(&location.source, span), message).help(help)
            });
            assignment(None)
        }
    }
}

/// Returns the error about a value of a sensitive variable that cannot be read. It does not show the value, as the
/// error that the value gives, its help and the lines around it may.
fn unreadable(variable: &Variable<'_>, origin: &str) -> Diagnostic {
    let name = &variable.name;
    Diagnostic::error(&name.location, format!("the value of the variable `{}` cannot be read", name.value))
        .label(format!("its value is set by {origin}"))
        .help(example(variable))
}

/// Returns the help about a value that cannot be read.
fn example(variable: &Variable<'_>) -> &'static str {
    match variable.of {
        Type::Bool => "Write true or false.",
        _ => "Write an expression, such as [\"a\", \"b\"] or {a = 1}; a string is in quotes.",
    }
}

fn undeclared(name: &str, variables: &Variables<'_>, diagnostics: &Diagnostics) {
    // Only the name is shown: the value may be a secret.
    let source = Arc::new(SourceText::new("-var", &format!("{name}=…")));
    let location = Location::new(&source, 0..name.len());
    let help = match nearest(name, variables.keys().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Declare it: variable \"{name}\" {{ type = string }}"),
    };
    diagnostics.add(Diagnostic::error(&location, format!("the variable `{name}` is not declared")).help(help));
}

/// Reads a variable file.
fn read_file<'v>(
    body: &Body<'_>,
    variables: &'v Variables<'_>,
    given: &mut BTreeMap<&'v str, Vec<Assignment>>,
    diagnostics: &Diagnostics,
) {
    for item in body.items(&|_| Role::Attribute, diagnostics) {
        let name = item.name().clone();
        let Item::Attribute(attribute) = item else {
            diagnostics.add(
                Diagnostic::error(&name.location, "a variable file has no blocks")
                    .label("a block")
                    .help("Write name = value. Variables are declared in the template, a .pkr.hcl file."),
            );
            continue;
        };
        let Some((known, variable)) = variables.get_key_value(&name.value) else {
            let help = match nearest(&name.value, variables.keys().map(String::as_str)) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Declare it, variable \"{0}\" {{ type = string }}, or remove it.", name.value),
            };
            let message = format!("the variable `{}` is not declared, so this has no effect", name.value);
            diagnostics.add(Diagnostic::warning(&name.location, message).help(help));
            continue;
        };
        let location = attribute.expression.location();
        let origin = location.source.name().to_owned();
        let value = if variable.is_sensitive {
            let value = literal::value(&attribute.expression, &Diagnostics::default());
            if value.is_none() {
                diagnostics.add(unreadable(variable, &origin));
            }
            value
        } else {
            literal::value(&attribute.expression, diagnostics)
        };
        if let Some(value) = value {
            given.entry(known).or_default().push(Assignment { value: Some(value), location, origin });
        }
    }
}

/// Checks the values by the rules of their variables.
pub(super) fn validate(variables: &Variables<'_>, shared: &Shared<'_>, names: &Names) {
    let evaluation = Evaluation::new(shared, names);
    for (name, variable) in variables {
        let is_valid = names.state(&["var".to_owned(), name.clone()]) == Some(State::Known);
        for validation in &variable.validations {
            if !check_references(name, &validation.condition, shared.diagnostics) || !is_valid {
                continue;
            }
            let Some((value, _)) = evaluation.value(&validation.condition) else { continue };
            match Type::Bool.convert(value) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => shared.diagnostics.add(
                    Diagnostic::error(&validation.location, format!("the value of the variable `{name}` is not valid"))
                        .label("this is false")
                        .help(validation.message.clone()),
                ),
                _ => shared.diagnostics.add(
                    Diagnostic::error(&validation.location, "`condition` is neither true nor false")
                        .help(format!("Write a comparison, or can(…) around what must succeed for var.{name}.")),
                ),
            }
        }
    }
}

/// Checks that a condition refers to its own variable and to nothing else.
fn check_references(name: &str, condition: &super::syntax::Expression<'_>, diagnostics: &Diagnostics) -> bool {
    let references = references(condition);
    let is_own = |path: &[String]| path.len() > 1 && path[0] == "var" && path[1] == name;
    let foreign = references.iter().filter(|(path, _)| !is_own(path));
    let help = format!("A condition can refer to var.{name} only.");
    let mut is_valid = true;
    for (path, location) in foreign {
        is_valid = false;
        let message = format!("`{}` cannot be used here", path.join("."));
        diagnostics.add(Diagnostic::error(location, message).help(help.clone()));
    }
    if is_valid && references.is_empty() {
        is_valid = false;
        let message = "`condition` does not depend on the variable";
        diagnostics.add(Diagnostic::error(&condition.location(), message).help(help));
    }
    is_valid
}
