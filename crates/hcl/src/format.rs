//! The canonical form of a file, as `packer fmt` writes it: only blanks change, and only outside of literal text.
//!
//! The rules are those of HCL's package `hclwrite`: two blanks for each level of brackets, one or no blank between two
//! tokens, and the `=` of consecutive lines below each other, as well as the comments at their ends.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::{
    error::SyntaxError,
    lex::{Kind, Token},
    parse::{checked_tokens, parse_checked},
};

/// Returns a file in its canonical form. A form that is canonical already is returned as it is.
///
/// # Errors
/// Those of [`parse_body`](crate::parse_body).
pub fn format(text: &str) -> Result<String, SyntaxError> {
    let tokens = checked_tokens(text)?;
    parse_checked(text, &tokens)?;
    let mut lines = lines(text, &tokens);
    indent(&mut lines);
    align(&mut lines);
    let mut out = String::with_capacity(text.len());
    for line in &lines {
        line.write(&mut out);
    }
    Ok(out)
}

/// A token with the blanks before it.
struct Item<'a> {
    kind: Kind,
    text: &'a str,
    blanks: usize,
}

/// A line, or several if a heredoc or a comment makes them one, in its three parts. The blanks before the first item of
/// a part place that part.
#[derive(Default)]
struct Line<'a> {
    lead: Vec<Item<'a>>,
    /// From the `=` on, if what follows it ends on the line.
    assignment: Vec<Item<'a>>,
    /// The comment at the end.
    comment: Vec<Item<'a>>,
}

impl Line<'_> {
    fn write(&self, out: &mut String) {
        for item in [&self.lead, &self.assignment, &self.comment].into_iter().flatten() {
            out.extend(std::iter::repeat_n(' ', item.blanks));
            out.push_str(item.text);
        }
    }
}

/// Divides the tokens into lines and their parts, with the blanks between the tokens of a part.
fn lines<'a>(text: &'a str, tokens: &[Token]) -> Vec<Line<'a>> {
    let items: Vec<Item<'a>> =
        tokens.iter().map(|token| Item { kind: token.kind, text: &text[token.span.clone()], blanks: 0 }).collect();
    let mut lines = Vec::new();
    let mut current = Vec::new();
    for item in items {
        // A comment to the end of its line has the line's end.
        let ends = item.kind == Kind::Newline || (item.kind == Kind::Comment && item.text.ends_with('\n'));
        current.push(item);
        if ends {
            lines.push(line(std::mem::take(&mut current)));
        }
    }
    if !current.is_empty() {
        lines.push(line(current));
    }
    lines
}

fn line(mut lead: Vec<Item<'_>>) -> Line<'_> {
    let comment = match lead.last() {
        Some(last) if lead.len() > 1 && last.kind == Kind::Comment => lead.split_off(lead.len() - 1),
        _ => Vec::new(),
    };
    let equal = lead.iter().position(|item| item.kind == Kind::Equal).filter(|equal| *equal > 0);
    let assignment = match equal {
        Some(equal) if depth_change(&lead[equal..]) == 0 => lead.split_off(equal),
        _ => Vec::new(),
    };
    let mut line = Line { lead, assignment, comment };
    space(&mut line.lead);
    space(&mut line.assignment);
    line
}

/// Sets the blanks between the tokens of a part.
fn space(items: &mut [Item<'_>]) {
    for i in 1..items.len() {
        let before = i.checked_sub(2).map(|before| items[before].kind);
        items[i].blanks = usize::from(is_blank_between(before, &items[i - 1], items[i].kind));
    }
}

fn is_opening(kind: Kind) -> bool {
    matches!(kind, Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::OpenInterpolation | Kind::OpenControl)
}

fn is_closing(kind: Kind) -> bool {
    matches!(kind, Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseSequence)
}

/// Returns how many brackets more are opened than closed.
fn depth_change(items: &[Item<'_>]) -> isize {
    items.iter().map(|item| isize::from(is_opening(item.kind)) - isize::from(is_closing(item.kind))).sum()
}

/// Whether a blank is between two tokens; `before` is the token in front of them.
fn is_blank_between(before: Option<Kind>, left: &Item<'_>, right: Kind) -> bool {
    use Kind as K;
    match (left.kind, right) {
        (_, K::Newline)
        | (K::Ident, K::OpenParen | K::DoubleColon)
        | (K::DoubleColon, K::Ident)
        | (K::Dot, _)
        | (_, K::Dot | K::Comma | K::Ellipsis) => false,
        (K::Comma, _) => true,
        // Within templates.
        (K::Text | K::OpenQuote | K::OpenHeredoc, _) | (_, K::Text | K::CloseQuote | K::CloseHeredoc) => false,
        // `for x in [1]`: not an index.
        (K::Ident, _) if left.text == "in" && before == Some(K::Ident) => true,
        (K::Ident | K::Number, K::OpenBracket) => false,
        (left, K::OpenBracket) if is_closing(left) => false,
        (K::Bang, _) => false,
        (K::Minus, _) => is_subtraction(before),
        (K::OpenBrace, K::CloseBrace) => false,
        (K::OpenBrace, _) | (_, K::CloseBrace) => true,
        // Braces of a map next to those of the template are kept apart.
        (K::OpenInterpolation | K::OpenControl, K::OpenBrace) | (K::CloseBrace, K::CloseSequence) => true,
        (K::CloseSequence, K::OpenInterpolation | K::OpenControl) => false,
        (left, right) => !is_opening(left) && !is_closing(right),
    }
}

/// Whether a minus after this token subtracts; else it is the sign of what follows.
fn is_subtraction(before: Option<Kind>) -> bool {
    !matches!(
        before,
        None | Some(
            Kind::OpenParen
                | Kind::OpenBrace
                | Kind::OpenBracket
                | Kind::Equal
                | Kind::Colon
                | Kind::Comma
                | Kind::Question
                | Kind::Operator
                | Kind::Minus
                | Kind::Bang
        )
    )
}

/// Indents each line by the brackets that are open. Brackets that are opened on one line indent by one level together.
fn indent(lines: &mut [Line<'_>]) {
    // For each level, how many brackets are open that began it.
    let mut levels: Vec<isize> = Vec::new();
    for line in lines {
        // What is within a heredoc does not count for the lines after it.
        let heredoc = line.lead.iter().position(|item| item.kind == Kind::OpenHeredoc).unwrap_or(line.lead.len());
        let change = depth_change(&line.lead[..heredoc]) + depth_change(&line.assignment);
        let Some(first) = line.lead.first_mut().filter(|first| first.kind != Kind::Newline) else {
            continue;
        };
        let mut closed = -change;
        while closed > 0
            && let Some(open) = levels.last_mut()
        {
            if closed >= *open {
                closed -= *open;
                levels.pop();
            } else {
                *open -= closed;
                closed = 0;
            }
        }
        first.blanks = 2 * levels.len();
        if change > 0 {
            levels.push(change);
        }
    }
}

/// Places the assignments, then the comments, of consecutive lines below each other.
fn align(lines: &mut [Line<'_>]) {
    for group in lines.chunk_by_mut(|one, other| one.assignment.is_empty() == other.assignment.is_empty()) {
        align_group(group, |line| width(&line.lead), |line| line.assignment.first_mut());
    }
    for group in lines.chunk_by_mut(|one, other| one.comment.is_empty() == other.comment.is_empty()) {
        align_group(group, |line| width(&line.lead) + width(&line.assignment), |line| line.comment.first_mut());
    }
}

/// Sets the blanks before one part of the lines, so that it begins one blank after the longest text before it.
fn align_group<'a>(
    lines: &mut [Line<'a>],
    width: impl Fn(&Line<'a>) -> usize,
    part: impl for<'c> Fn(&'c mut Line<'a>) -> Option<&'c mut Item<'a>>,
) {
    let longest = lines.iter().map(&width).max().unwrap_or(0);
    for line in lines {
        let blanks = longest - width(line) + 1;
        if let Some(first) = part(line) {
            first.blanks = blanks;
        }
    }
}

fn width(items: &[Item<'_>]) -> usize {
    items.iter().map(|item| item.blanks + item.text.graphemes(true).count()).sum()
}
