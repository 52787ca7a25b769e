//! Types as they are written: `list(string)`, `object({ name = string, size = optional(number, 8) })`.

use std::{collections::BTreeMap, ops::Range};

use hcl_edit::{
    Span as _,
    expr::{Expression, FuncCall, ObjectKey},
};

use super::shape::{Attribute, Type};
use crate::{error::Error, nearest::suggest, value::Value};

const NAMES: [&str; 9] = ["string", "number", "bool", "any", "list", "set", "map", "object", "tuple"];

/// Reads a type. `evaluate` is for the defaults of `optional`.
pub(crate) fn parse_type(
    expression: &Expression,
    evaluate: &dyn Fn(&Expression) -> Result<Value, Error>,
) -> Result<Type, Error> {
    let span = expression.span().unwrap_or_default();
    match expression {
        Expression::Parenthesis(inner) => parse_type(inner.inner(), evaluate),
        Expression::Variable(name) => match name.as_str() {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Any),
            name @ ("list" | "set" | "map") => {
                error(span, format!("{name} needs the type of its elements"), format!("Write {name}(string)."))
            }
            "object" => error(span, "object needs its attributes", "Write object({ name = string })."),
            "tuple" => error(span, "tuple needs the types of its elements", "Write tuple([string, number])."),
            other => unknown(span, other),
        },
        Expression::FuncCall(call) => parse_call(call, span, evaluate),
        Expression::String(text) if NAMES.contains(&text.as_str()) => {
            error(span, "a type is written without quotes", format!("Write {}.", text.as_str()))
        }
        _ => error(
            span,
            "this is no type",
            "Write string, number, bool, any, list(…), set(…), map(…), object({…}) or tuple([…]).",
        ),
    }
}

fn error<T>(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Result<T, Error> {
    Err(Error { span, message: message.into(), help: Some(help.into()) })
}

fn unknown<T>(span: Range<usize>, name: &str) -> Result<T, Error> {
    Err(Error { span, message: format!("there is no type {name}"), help: suggest(name, NAMES) })
}

fn parse_call(
    call: &FuncCall,
    span: Range<usize>,
    evaluate: &dyn Fn(&Expression) -> Result<Value, Error>,
) -> Result<Type, Error> {
    let name = call.name.name.as_str();
    let mut arguments = call.args.iter();
    let (Some(argument), None) = (arguments.next(), arguments.next()) else {
        return match name {
            "optional" => misplaced_optional(span),
            name if NAMES.contains(&name) => error(span, format!("{name} takes one argument"), "Write list(string)."),
            other => unknown(span, other),
        };
    };
    match (name, argument) {
        ("list", of) => Ok(Type::List(Box::new(parse_type(of, evaluate)?))),
        ("set", of) => Ok(Type::Set(Box::new(parse_type(of, evaluate)?))),
        ("map", of) => Ok(Type::Map(Box::new(parse_type(of, evaluate)?))),
        ("tuple", Expression::Array(items)) => {
            items.iter().map(|item| parse_type(item, evaluate)).collect::<Result<_, _>>().map(Type::Tuple)
        }
        ("tuple", _) => error(span, "tuple takes a list of types", "Write tuple([string, number])."),
        ("object", Expression::Object(items)) => {
            let mut attributes = BTreeMap::new();
            for (key, value) in items {
                let name = match key {
                    ObjectKey::Ident(name) => name.to_string(),
                    ObjectKey::Expression(Expression::String(name)) => name.value().clone(),
                    ObjectKey::Expression(other) => {
                        return error(
                            other.span().unwrap_or(span),
                            "an attribute's name must be literal",
                            "Write a name.",
                        );
                    }
                };
                attributes.insert(name, parse_attribute(value.expr(), evaluate)?);
            }
            Ok(Type::Object(attributes))
        }
        ("object", _) => error(span, "object takes a map of types", "Write object({ name = string })."),
        ("optional", _) => misplaced_optional(span),
        (name @ ("string" | "number" | "bool" | "any"), _) => {
            error(span, format!("{name} takes no argument"), format!("Write {name}."))
        }
        (other, _) => unknown(span, other),
    }
}

fn misplaced_optional<T>(span: Range<usize>) -> Result<T, Error> {
    let help = "Write object({ name = optional(string) }), or with a default: optional(string, \"x\").";
    error(span, "optional is for the attributes of an object, with a type and at most a default", help)
}

fn parse_attribute(
    expression: &Expression,
    evaluate: &dyn Fn(&Expression) -> Result<Value, Error>,
) -> Result<Attribute, Error> {
    let Some(call) = expression.as_func_call().filter(|call| call.name.name.as_str() == "optional") else {
        return Ok(Attribute { of: parse_type(expression, evaluate)?, default: None });
    };
    let span = expression.span().unwrap_or_default();
    let mut arguments = call.args.iter();
    let (Some(of), default, None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return misplaced_optional(span);
    };
    let of = parse_type(of, evaluate)?;
    let default = match default {
        None => Value::Null,
        Some(default) => of.convert(evaluate(default)?).map_err(|error| Error {
            span: default.span().unwrap_or(span),
            message: format!("this default is not of the type {of}: {error}"),
            help: None,
        })?,
    };
    Ok(Attribute { of, default: Some(default) })
}
