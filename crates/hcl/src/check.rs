//! What is checked before a text is parsed: its size, its nesting and its brackets. The parser takes memory and time by
//! these, and where a bracket is missing, it points at the end of the text.

use std::ops::Range;

use crate::{
    error::SyntaxError,
    lex::{Kind, Token},
};

/// The largest text, in bytes: its tree takes some forty times as much memory.
pub const MAX_BYTES: usize = 4 << 20;

/// How deep brackets may be nested: the parser's limit.
const MAX_DEPTH: usize = 64;

/// How many entries a map may have: the parser compares each with all before.
const MAX_ENTRIES: usize = 10_000;

/// An open bracket.
struct Open {
    kind: Kind,
    span: Range<usize>,
    /// How many `=` and `:` are directly within.
    entries: usize,
}

/// Checks that a text is not too large.
pub(crate) fn check_size(text: &str) -> Result<(), SyntaxError> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(SyntaxError::new(0..0, format!("the text is larger than {} MiB", MAX_BYTES >> 20), None))
}

/// Checks brackets, quotes and heredocs.
pub(crate) fn check_tokens(text: &str, tokens: &[Token]) -> Result<(), SyntaxError> {
    if text.starts_with('\u{feff}') {
        return error(0..3, "the file begins with a byte order mark", "Save it as UTF-8 without one.");
    }
    let mut open: Vec<Open> = Vec::new();
    for (i, Token { kind, span }) in tokens.iter().enumerate() {
        check_token(text, &tokens[i..])?;
        match kind {
            Kind::Text if open.last().is_some_and(|around| around.kind == Kind::OpenQuote) => {
                check_escapes(text, span)?;
            }
            Kind::OpenBrace
            | Kind::OpenBracket
            | Kind::OpenParen
            | Kind::OpenQuote
            | Kind::OpenHeredoc
            | Kind::OpenInterpolation
            | Kind::OpenControl => {
                open.push(Open { kind: *kind, span: span.clone(), entries: 0 });
                if open.len() > MAX_DEPTH {
                    let message = format!("brackets are nested deeper than {MAX_DEPTH} levels");
                    return error(span.clone(), message, "Divide the expression into several locals.");
                }
            }
            Kind::Equal | Kind::Colon => {
                if let Some(around) = open.last_mut() {
                    around.entries += 1;
                    if around.kind == Kind::OpenBrace && around.entries > MAX_ENTRIES {
                        return error(
                            around.span.clone(),
                            format!("this has more than {MAX_ENTRIES} entries"),
                            "Divide it into several, and merge them.",
                        );
                    }
                }
            }
            Kind::UnclosedQuote => {
                let start = open.pop().map_or(span.start, |quote| quote.span.start);
                if let Some(sequence) = open.pop()
                    && is_sequence(sequence.kind)
                {
                    return not_closed(text, &sequence);
                }
                let help = "Write a line break as \\n, or use a heredoc: <<-EOT";
                return error(start..span.end, "this string is not closed on its line", help);
            }
            Kind::CloseBrace
            | Kind::CloseBracket
            | Kind::CloseParen
            | Kind::CloseQuote
            | Kind::CloseHeredoc
            | Kind::CloseSequence => close(text, &mut open, *kind, span)?,
            _ => {}
        }
    }
    match (open.pop(), open.pop()) {
        (None, _) => Ok(()),
        // The quote was to end the string around the sequence.
        (Some(quote), Some(sequence)) if quote.kind == Kind::OpenQuote && is_sequence(sequence.kind) => {
            not_closed(text, &sequence)
        }
        (Some(open), _) => not_closed(text, &open),
    }
}

fn is_sequence(kind: Kind) -> bool {
    matches!(kind, Kind::OpenInterpolation | Kind::OpenControl)
}

/// Checks the first of these tokens by itself and the one after it.
fn check_token(text: &str, tokens: &[Token]) -> Result<(), SyntaxError> {
    let [Token { kind, span }, rest @ ..] = tokens else { return Ok(()) };
    let written = &text[span.clone()];
    match kind {
        Kind::Other => {
            let help = match written {
                "'" | "`" | "“" | "”" => "Write strings between double quotes.",
                "&" | "|" => "Write && for and, || for or.",
                ";" => "Write each attribute and block on a line of its own.",
                _ => "Write text between double quotes.",
            };
            error(
                span.clone(),
                format!("{} is no part of HCL", written.escape_debug().to_string().replace("\\'", "'")),
                help,
            )
        }
        Kind::Number if written.bytes().all(|byte| byte.is_ascii_digit()) && written.parse::<u64>().is_err() => {
            error(span.clone(), "the number is too large", "Write it as a string, or compute it.")
        }
        Kind::Dot => match rest.first().map(|next| (next.kind, &text[next.span.clone()])) {
            Some((Kind::Ident | Kind::Number, _) | (Kind::Operator, "*")) => Ok(()),
            _ => error(span.clone(), "after this dot, a name is missing", "Write the attribute: var.name"),
        },
        _ => Ok(()),
    }
}

/// Checks the escapes in a quoted string. The parser knows more of them than HCL does.
fn check_escapes(text: &str, span: &Range<usize>) -> Result<(), SyntaxError> {
    let written = &text[span.clone()];
    let mut chars = written.char_indices();
    while let Some((start, c)) = chars.next() {
        if c != '\\' {
            continue;
        }
        let digits = match chars.next() {
            Some((_, 'n' | 'r' | 't' | '"' | '\\')) => 0,
            Some((_, 'u')) => 4,
            Some((_, 'U')) => 8,
            next => {
                let end = next.map_or(written.len(), |(i, c)| i + c.len_utf8());
                let message = format!("{} is no escape sequence", &written[start..end]);
                let help = "Write \\\\ for a backslash; the sequences are \\n, \\r, \\t, \\\", \\\\ and \\u00e9.";
                return error(span.start + start..span.start + end, message, help);
            }
        };
        let code = written.get(start + 2..start + 2 + digits);
        let code = code.and_then(|code| if digits == 0 { Some(0) } else { u32::from_str_radix(code, 16).ok() });
        if code.and_then(char::from_u32).is_none() {
            let end = span.start + written.ceil_char_boundary((start + 2 + digits).min(written.len()));
            let message = format!("this is no character of Unicode, in {digits} hexadecimal digits");
            return error(span.start + start..end, message, "Write \\u00e9 for é.");
        }
    }
    Ok(())
}

fn close(text: &str, open: &mut Vec<Open>, kind: Kind, span: &Range<usize>) -> Result<(), SyntaxError> {
    let Some(last) = open.pop() else {
        let message = format!("nothing is open that this {} closes", &text[span.clone()]);
        return error(span.clone(), message, "Remove it, or look for a bracket that is closed too early before it.");
    };
    let matches = matches!(
        (last.kind, kind),
        (Kind::OpenBrace, Kind::CloseBrace)
            | (Kind::OpenBracket, Kind::CloseBracket)
            | (Kind::OpenParen, Kind::CloseParen)
            | (Kind::OpenQuote, Kind::CloseQuote)
            | (Kind::OpenHeredoc, Kind::CloseHeredoc)
            | (Kind::OpenInterpolation | Kind::OpenControl, Kind::CloseSequence)
    );
    if matches { Ok(()) } else { not_closed(text, &last) }
}

fn not_closed(text: &str, open: &Open) -> Result<(), SyntaxError> {
    let written = text[open.span.clone()].trim_end();
    let (message, help) = match open.kind {
        Kind::OpenQuote => ("this string is not closed".to_owned(), "Write a double quote at its end.".to_owned()),
        Kind::OpenHeredoc => {
            let delimiter = written.trim_start_matches(['<', '-']);
            (
                format!("the heredoc {written} is not closed"),
                format!("Write {delimiter} on a line of its own after the text."),
            )
        }
        Kind::OpenBracket => ("this [ is not closed".to_owned(), "Write ] after the last element.".to_owned()),
        Kind::OpenParen => ("this ( is not closed".to_owned(), "Write ) after the last argument.".to_owned()),
        Kind::OpenBrace => ("this { is not closed".to_owned(), "Write } after its content.".to_owned()),
        _ => (
            format!("this {written} is not closed"),
            format!("Write }} after the expression, or {}{written} for the characters themselves.", &written[..1]),
        ),
    };
    error(open.span.start..open.span.start + written.len(), message, help)
}

fn error<T>(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Result<T, SyntaxError> {
    Err(SyntaxError::new(span, message, Some(help.into())))
}
