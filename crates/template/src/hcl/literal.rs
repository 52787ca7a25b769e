//! Attributes that hold a literal: names, flags, values of variable files.

use bakehouse_hcl as hcl;
use bakehouse_hcl::Value;

use super::{
    evaluation::Failure,
    syntax::{Attribute, Expression, ExpressionSyntax},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    tree::{Located, Node},
};

/// Returns the value of an expression without names and functions. Strings in JSON are no templates here, as with
/// Packer. `None` only after an error was reported.
pub(super) fn value(expression: &Expression<'_>, diagnostics: &Diagnostics) -> Option<Value> {
    match expression.syntax {
        ExpressionSyntax::Native(source, syntax) => match hcl::evaluate_literal(syntax) {
            Ok(value) => Some(value),
            Err(error) => {
                let Failure { location, message, help } = Failure::in_source(source, error);
                diagnostics.add(Diagnostic::error(&location, message).maybe_help(help));
                None
            }
        },
        ExpressionSyntax::Json(node) => json_value(node, diagnostics),
    }
}

fn json_value(node: &Node, diagnostics: &Diagnostics) -> Option<Value> {
    Some(match node {
        Node::Null(_) | Node::Invalid(_) => Value::Null,
        Node::Bool(bool) => Value::Bool(bool.value),
        Node::Number(number) => match number.value.parse() {
            Ok(number) => Value::Number(number),
            Err(message) => {
                diagnostics.add(Diagnostic::error(&number.location, message));
                return None;
            }
        },
        Node::String(text) => Value::String(text.value.clone()),
        Node::List(list) => {
            Value::List(list.value.iter().map(|element| json_value(element, diagnostics)).collect::<Option<_>>()?)
        }
        Node::Map(map) => {
            let entries = map.entries.iter();
            let entries = entries.map(|entry| Some((entry.key.value.clone(), json_value(&entry.value, diagnostics)?)));
            Value::Map(entries.collect::<Option<_>>()?)
        }
    })
}

/// Returns the string that an attribute is set to.
pub(super) fn string(attribute: &Attribute<'_>, diagnostics: &Diagnostics) -> Option<Located<String>> {
    match value(&attribute.expression, diagnostics)? {
        Value::String(text) => Some(Located { value: text, location: attribute.expression.location() }),
        other => {
            wrong(attribute, &other, "a string", "Write it in quotes.", diagnostics);
            None
        }
    }
}

/// Returns the bool that an attribute is set to.
pub(super) fn bool(attribute: &Attribute<'_>, diagnostics: &Diagnostics) -> Option<bool> {
    match value(&attribute.expression, diagnostics)? {
        Value::Bool(bool) => Some(bool),
        other => {
            wrong(attribute, &other, "a bool", "Write true or false.", diagnostics);
            None
        }
    }
}

fn wrong(attribute: &Attribute<'_>, value: &Value, wanted: &str, help: &str, diagnostics: &Diagnostics) {
    let message = format!("`{}` is {}", attribute.name.value, value.kind());
    diagnostics.add(
        Diagnostic::error(&attribute.expression.location(), message).label(format!("{wanted} is needed")).help(help),
    );
}
