//! Checks the `%{ }` of templates: each has a known keyword, and what it begins is ended.

use std::ops::Range;

use crate::{
    error::SyntaxError,
    lex::{Kind, Token},
    nearest::suggest,
};

const KEYWORDS: [&str; 5] = ["if", "else", "endif", "for", "endfor"];

/// A `%{ if }` or `%{ for }` that is not ended.
struct Open<'a> {
    keyword: &'a str,
    span: Range<usize>,
    has_else: bool,
}

/// Checks the directives of a text whose brackets are right.
pub(crate) fn check_directives(text: &str, tokens: &[Token]) -> Result<(), SyntaxError> {
    // Of each template around the current place, the outermost first.
    let mut templates: Vec<Vec<Open<'_>>> = vec![Vec::new()];
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::OpenQuote | Kind::OpenHeredoc => templates.push(Vec::new()),
            Kind::CloseQuote | Kind::CloseHeredoc => all_ended(&templates.pop().unwrap_or_default())?,
            Kind::OpenControl => {
                let next = tokens[i + 1..].iter().find(|token| !matches!(token.kind, Kind::Newline | Kind::Comment));
                let keyword = next.filter(|next| next.kind == Kind::Ident).map_or("", |next| &text[next.span.clone()]);
                let end = next.map_or(token.span.end, |next| next.span.end);
                if let Some(open) = templates.last_mut() {
                    directive(open, keyword, token.span.start..end)?;
                }
            }
            _ => {}
        }
    }
    templates.iter().try_for_each(|open| all_ended(open))
}

fn directive<'a>(open: &mut Vec<Open<'a>>, keyword: &'a str, span: Range<usize>) -> Result<(), SyntaxError> {
    match (keyword, open.last_mut()) {
        ("if" | "for", _) => open.push(Open { keyword, span, has_else: false }),
        ("else", Some(around)) if around.keyword == "if" && !around.has_else => around.has_else = true,
        ("endif", Some(around)) if around.keyword == "if" => {
            open.pop();
        }
        ("endfor", Some(around)) if around.keyword == "for" => {
            open.pop();
        }
        ("else" | "endif" | "endfor", None) => {
            let begin = if keyword == "endfor" { "for" } else { "if" };
            let help = format!("Write %{{ {begin} … }} before it.");
            return error(span, format!("no %{{ {begin} }} belongs to this {keyword}"), help);
        }
        ("else" | "endif" | "endfor", Some(around)) => {
            let help = format!("Write %{{ end{} }} before it.", around.keyword);
            return error(span, format!("the %{{ {} }} before this {keyword} is not ended", around.keyword), help);
        }
        _ => {
            let help = suggest(keyword, KEYWORDS).unwrap_or_default();
            let message = "a directive is if, else, endif, for or endfor; write %%{ for the characters themselves";
            return error(span, message, help);
        }
    }
    Ok(())
}

fn all_ended(open: &[Open<'_>]) -> Result<(), SyntaxError> {
    match open.last() {
        None => Ok(()),
        Some(Open { keyword, span, .. }) => error(
            span.clone(),
            format!("this %{{ {keyword} }} is not ended"),
            format!("Write %{{ end{keyword} }} after its text."),
        ),
    }
}

fn error<T>(span: Range<usize>, message: impl Into<String>, help: String) -> Result<T, SyntaxError> {
    Err(SyntaxError::new(span, message, Some(help).filter(|help| !help.is_empty())))
}
