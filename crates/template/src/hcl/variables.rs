//! `variable` and `variables`: what a template declares.

use std::collections::BTreeMap;

use bakehouse_hcl as hcl;
use bakehouse_hcl::{Type, Value};

use super::{
    blocks::{Schema, twice},
    evaluation::Evaluation,
    literal,
    syntax::{Attribute, Block, Expression, ExpressionSyntax},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::Location,
    tree::{Node, SourceString},
};

const VARIABLE: Schema = Schema {
    owner: "`variable`",
    attributes: &["type", "default", "description", "sensitive"],
    blocks: &[("validation", &[])],
};

const VALIDATION: Schema = Schema { owner: "`validation`", attributes: &["condition", "error_message"], blocks: &[] };

/// A variable as it is declared.
pub(super) struct Variable<'a> {
    pub(super) name: SourceString,
    /// What its values are converted to.
    pub(super) of: Type,
    /// Whether a value in the environment or after `-var` is the text itself, and not an expression.
    pub(super) is_given_literally: bool,
    pub(super) default: Default,
    pub(super) is_sensitive: bool,
    pub(super) validations: Vec<Validation<'a>>,
}

/// The default of a variable.
#[derive(PartialEq)]
pub(super) enum Default {
    None,
    /// Why has been reported.
    Invalid,
    Value(Value),
}

/// A rule for the value of a variable.
pub(super) struct Validation<'a> {
    pub(super) condition: Expression<'a>,
    /// What to say if it does not hold.
    pub(super) message: String,
    pub(super) location: Location,
}

/// The variables of a template, by their names.
pub(super) type Variables<'a> = BTreeMap<String, Variable<'a>>;

/// Reads the declarations. `defaults` evaluates their defaults.
pub(super) fn declare<'a>(blocks: &[Block<'a>], defaults: &Evaluation<'_>) -> Variables<'a> {
    let diagnostics = defaults.shared.diagnostics;
    let mut variables = Variables::new();
    for block in blocks {
        if block.kind.value == "variable" {
            let Some(name) = block.labels.first() else { continue };
            add(&mut variables, variable(name.clone(), block, defaults), diagnostics);
            continue;
        }
        for item in block.body.items(&|_| super::syntax::Role::Attribute, diagnostics) {
            let Some(attribute) = item.into_attribute(diagnostics) else { continue };
            let default = default(&attribute, None, false, defaults);
            let is_given_literally = is_given_literally(None, &default);
            let of = type_of(None, &default);
            let name = attribute.name;
            let variable =
                Variable { name, of, is_given_literally, default, is_sensitive: false, validations: Vec::new() };
            add(&mut variables, variable, diagnostics);
        }
    }
    variables
}

fn add<'a>(variables: &mut Variables<'a>, variable: Variable<'a>, diagnostics: &Diagnostics) {
    let name = &variable.name;
    if let Some(first) = variables.get(&name.value) {
        return twice(&name.location, &format!("the variable `{}`", name.value), &first.name.location, diagnostics);
    }
    let is_name = name.value.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && name.value.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !is_name {
        let message = format!("\"{}\" is not a name for a variable", name.value);
        let help = "Use letters, digits, _ and -, with a letter or _ first.";
        diagnostics.add(Diagnostic::error(&name.location, message).help(help));
    }
    variables.insert(variable.name.value.clone(), variable);
}

fn variable<'a>(name: SourceString, block: &Block<'a>, defaults: &Evaluation<'_>) -> Variable<'a> {
    let diagnostics = defaults.shared.diagnostics;
    let items = block.body.items(&|name| VARIABLE.role(name), diagnostics);
    let (attributes, blocks) = VARIABLE.check(items, diagnostics);
    let find = |name: &str| attributes.iter().find(|attribute| attribute.name.value == name);
    if let Some(description) = find("description") {
        literal::string(description, diagnostics);
    }
    let is_sensitive =
        find("sensitive").and_then(|attribute| literal::bool(attribute, diagnostics)).unwrap_or_default();
    let declared = find("type").map(|attribute| declared_type(attribute, diagnostics));
    let default = match find("default") {
        None => Default::None,
        // The default can't be checked against a type that is none.
        Some(_) if matches!(declared, Some(None)) => Default::Invalid,
        Some(attribute) => default(attribute, declared.as_ref().and_then(Option::as_ref), is_sensitive, defaults),
    };
    let declared = declared.flatten();
    let is_given_literally = is_given_literally(declared.as_ref(), &default);
    let of = type_of(declared, &default);
    let validations = blocks.iter().filter_map(|block| validation(block, &name.value, diagnostics)).collect();
    Variable { name, of, is_given_literally, default, is_sensitive, validations }
}

/// Reads a type. In JSON it is in a string.
fn declared_type(attribute: &Attribute<'_>, diagnostics: &Diagnostics) -> Option<Type> {
    let (result, place): (_, Box<dyn Fn(std::ops::Range<usize>) -> Location>) = match attribute.expression.syntax {
        ExpressionSyntax::Native(source, expression) => {
            (hcl::parse_type(expression), Box::new(move |span| Location::new(source, span)))
        }
        ExpressionSyntax::Json(Node::String(text)) => {
            let place = Box::new(|span: std::ops::Range<usize>| text.part(span.start, span.end));
            match hcl::parse_expression(&text.value) {
                Ok(expression) => (hcl::parse_type(&expression), place),
                Err(error) => (Err(hcl::Error { span: error.span, message: error.message, help: error.help }), place),
            }
        }
        ExpressionSyntax::Json(other) => {
            let message = format!("`type` is {}", other.kind());
            diagnostics.add(Diagnostic::error(other.location(), message).help("Write \"type\": \"string\"."));
            return None;
        }
    };
    match result {
        Ok(of) => Some(of),
        Err(hcl::Error { span, message, help }) => {
            diagnostics.add(Diagnostic::error(&place(span), message).maybe_help(help));
            None
        }
    }
}

fn default(
    attribute: &Attribute<'_>,
    declared: Option<&Type>,
    is_sensitive: bool,
    defaults: &Evaluation<'_>,
) -> Default {
    let Some((value, _)) = defaults.value(&attribute.expression) else {
        return Default::Invalid;
    };
    let Some(of) = declared else {
        return Default::Value(value);
    };
    match of.convert(value) {
        Ok(value) => Default::Value(value),
        Err(error) => {
            let location = attribute.expression.location();
            let message = format!("the default is not of the type {of}");
            let help = "Correct the default or the type.";
            defaults.shared.diagnostics.add(if is_sensitive {
                // Neither the error nor the lines around the location may show the value.
                let (line, column) = location.line_column();
                let place = format!("It is at {}:{line}:{column}.", location.source.name());
                Diagnostic::without_location(message).help(format!("{help} {place}"))
            } else {
                Diagnostic::error(&location, format!("{message}: {error}")).help(help)
            });
            Default::Invalid
        }
    }
}

/// Returns the type of a variable: without a declared one, that of its default. As lists and maps of a default's type
/// would have to have exactly its elements, they may be any.
fn type_of(declared: Option<Type>, default: &Default) -> Type {
    match (declared, default) {
        (Some(of), _) => of,
        (None, Default::Value(value @ (Value::Bool(_) | Value::Number(_) | Value::String(_)))) => Type::of(value),
        (None, _) => Type::Any,
    }
}

/// As Packer decides it: by the declared type, or by the default's unless that is empty.
fn is_given_literally(declared: Option<&Type>, default: &Default) -> bool {
    match (declared, default) {
        (Some(of), _) if *of != Type::Any => of.is_given_literally(),
        (_, Default::Value(Value::List(items))) => items.is_empty(),
        (_, Default::Value(Value::Map(items))) => items.is_empty(),
        (_, Default::Value(value)) => !matches!(value, Value::Bool(_)),
        _ => true,
    }
}

fn validation<'a>(block: &Block<'a>, variable: &str, diagnostics: &Diagnostics) -> Option<Validation<'a>> {
    let items = block.body.items(&|name| VALIDATION.role(name), diagnostics);
    let (attributes, _) = VALIDATION.check(items, diagnostics);
    let find = |name: &str| {
        let found = attributes.iter().find(|attribute| attribute.name.value == name);
        if found.is_none() {
            let help =
                format!("Write condition = … and error_message = \"…\": the condition refers to var.{variable}.");
            let message = format!("this `validation` has no `{name}`");
            diagnostics.add(Diagnostic::error(&block.header(), message).help(help));
        }
        found
    };
    let (condition, message) = (find("condition"), find("error_message"));
    let text = literal::string(message?, diagnostics)?;
    let is_sentence = text.value.chars().next().is_some_and(|first| !first.is_alphabetic() || first.is_uppercase())
        && text.value.ends_with(['.', '?', '!']);
    if !is_sentence {
        diagnostics.add(
            Diagnostic::error(&text.location, "`error_message` is not a sentence").help(
                "Begin it with a capital letter, and end it with a period, a question mark or an exclamation mark.",
            ),
        );
    }
    let condition = condition?;
    Some(Validation {
        condition: condition.expression.clone(),
        message: text.value,
        location: condition.expression.location(),
    })
}
