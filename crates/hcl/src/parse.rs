//! From text to HCL's syntax tree, with limits that keep any text from taking much time, memory or stack.

use std::ops::Range;

use hcl_edit::{expr::Expression, parser, structure::Body, template::Template};

use crate::error::SyntaxError;

/// The largest text, in bytes: its tree takes some forty times as much memory.
pub const MAX_BYTES: usize = 4 << 20;

/// Parses a file: attributes and blocks.
///
/// # Errors
/// The first place that is not HCL, or that the text is too large or nested too deep.
pub fn parse_body(text: &str) -> Result<Body, SyntaxError> {
    check_size(text)?;
    parser::parse_body(text).map_err(|error| from_parser(text, &error))
}

/// Parses a single expression: `["a", "b"]`, or a type.
///
/// # Errors
/// Those of [`parse_body`].
pub fn parse_expression(text: &str) -> Result<Expression, SyntaxError> {
    check_size(text)?;
    parser::parse_expr(text).map_err(|error| from_parser(text, &error))
}

/// Parses a template without quotes around it, as the strings of HCL's JSON syntax and the files of `templatefile` are.
///
/// # Errors
/// Those of [`parse_body`].
pub fn parse_template(text: &str) -> Result<Template, SyntaxError> {
    check_size(text)?;
    parser::parse_template(text).map_err(|error| from_parser(text, &error))
}

fn check_size(text: &str) -> Result<(), SyntaxError> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(SyntaxError { span: 0..0, message: format!("the text is larger than {} MiB", MAX_BYTES >> 20), help: None })
}

fn from_parser(text: &str, error: &parser::Error) -> SyntaxError {
    let start = text.floor_char_boundary(error.location().offset());
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    SyntaxError { span: Range { start, end }, message: error.message().to_owned(), help: None }
}
