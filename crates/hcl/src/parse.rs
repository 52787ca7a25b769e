//! From text to HCL's syntax tree, with limits that keep any text from taking much time, memory or stack.

use std::ops::Range;

use hcl_edit::{expr::Expression, parser, structure::Body, template::Template, visit_mut::VisitMut as _};

use crate::{
    check::{check_size, check_tokens},
    directives::check_directives,
    error::SyntaxError,
    lex::{self, Kind, Token},
    whitespace::Whitespace,
};

/// Parses a file: attributes and blocks.
///
/// # Errors
/// The first place that is not HCL, or that the text is too large or nested too deep.
pub fn parse_body(text: &str) -> Result<Body, SyntaxError> {
    parse_checked(text, &checked_tokens(text)?)
}

/// Parses a file that has these tokens, which are checked.
pub(crate) fn parse_checked(text: &str, tokens: &[Token]) -> Result<Body, SyntaxError> {
    let mut body = parser::parse_body(text).map_err(|error| syntax_error(text, tokens, &error))?;
    Whitespace { text }.visit_body_mut(&mut body);
    Ok(body)
}

/// Parses a single expression: `["a", "b"]`, or a type. Blanks and line breaks may be around it.
///
/// # Errors
/// Those of [`parse_body`].
pub fn parse_expression(text: &str) -> Result<Expression, SyntaxError> {
    let tokens = checked_tokens(text)?;
    let trimmed = text.trim_end();
    // The parser takes no blank before an expression: a bracket in place of one keeps all locations.
    let bracketed = trimmed.starts_with([' ', '\t', '\n', '\r']).then(|| format!("({})", &trimmed[1..]));
    let mut expression = parser::parse_expr(bracketed.as_deref().unwrap_or(trimmed))
        .map_err(|error| syntax_error(text, &tokens, &error))?;
    Whitespace { text }.visit_expr_mut(&mut expression);
    Ok(expression)
}

/// Parses a template without quotes around it, as the strings of HCL's JSON syntax and the files of `templatefile` are.
///
/// # Errors
/// Those of [`parse_body`].
pub fn parse_template(text: &str) -> Result<Template, SyntaxError> {
    check_size(text)?;
    let tokens = lex::template_tokens(text);
    check_tokens(text, &tokens)?;
    check_directives(text, &tokens)?;
    let mut template = parser::parse_template(text).map_err(|error| syntax_error(text, &tokens, &error))?;
    Whitespace { text }.visit_bare_template(&mut template);
    Ok(template)
}

/// Returns the tokens of a text whose brackets are right.
pub(crate) fn checked_tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    check_size(text)?;
    let tokens = lex::tokens(text);
    check_tokens(text, &tokens)?;
    check_directives(text, &tokens)?;
    Ok(tokens)
}

/// Returns the parser's error, at the token that it stopped at.
fn syntax_error(text: &str, tokens: &[Token], error: &parser::Error) -> SyntaxError {
    let offset = error.location().offset();
    let token = tokens.get(tokens.partition_point(|token| token.span.end <= offset)).cloned();
    let token = token.unwrap_or(Token { kind: Kind::Newline, span: Range { start: text.len(), end: text.len() } });
    let written = &text[token.span.clone()];
    let found = match token.kind {
        Kind::Newline => "end of the line",
        Kind::Comment => "comment",
        _ => written.lines().next().unwrap_or_default(),
    };
    let message = error.message();
    let is_redefinition = message.contains("redefined");
    let (message, help) = if is_redefinition {
        (format!("{found} is set twice"), Some("Remove one of the two."))
    } else if message.contains("nested levels") || message.contains("chained binary operators") {
        ("the expression is nested too deep".to_owned(), Some("Divide it into several locals."))
    } else if let Some((_, expected)) = message.rsplit_once("expected ").filter(|(_, expected)| *expected != "token") {
        // Of an expression, the parser lists all characters that it can begin with.
        let expected = if message.contains("invalid expression") { "a value" } else { expected };
        (
            format!("unexpected {found}; expected {}", expected.replace("eof", "the end of the text")),
            help(&token, written, expected),
        )
    } else {
        ("this is not HCL".to_owned(), None)
    };
    SyntaxError { is_redefinition, ..SyntaxError::new(token.span, message, help.map(str::to_owned)) }
}

fn help(token: &Token, written: &str, expected: &str) -> Option<&'static str> {
    match written {
        // In a `for` that makes a map, HCL allows more lines than the parser does.
        _ if matches!(token.kind, Kind::Operator | Kind::Minus | Kind::Newline) => {
            Some("Write the value on this line, or parentheses around an expression of several lines.")
        }
        ":" => Some("Write an attribute of a block as: name = value"),
        "," if expected.contains("newline") => {
            Some("Write each attribute of a block on a line of its own, without commas.")
        }
        _ if expected.contains("newline") => Some("Write each attribute and block on a line of its own."),
        _ => None,
    }
}
