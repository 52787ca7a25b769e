//! Splits a template into literal text and the tokens between `{{` and `}}`.

use crate::{error::ParseError, literal, span::Span, value::Value};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// Literal text between actions.
    Text(String),
    /// `{{`, with a trim marker or not.
    Open {
        trims: bool,
    },
    /// `}}`, with a trim marker or not.
    Close {
        trims: bool,
    },
    Name(String),
    /// `.Name`.
    Field(String),
    Dot,
    /// `$name`, without the `$`.
    Variable(String),
    Literal(Value),
    LeftParen,
    RightParen,
    Pipe,
    Declare,
    Assign,
    Comma,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexed {
    pub(crate) token: Token,
    pub(crate) span: Span,
    /// Whether there is a space before it.
    pub(crate) spaced: bool,
}

/// What Go's templates take for whitespace.
pub(crate) const WHITESPACE: [char; 4] = [' ', '\t', '\r', '\n'];

pub(crate) fn lex(text: &str) -> Result<Vec<Lexed>, ParseError> {
    let mut lexer = Lexer { text, at: 0, out: Vec::new() };
    lexer.run()?;
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    out: Vec<Lexed>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn push(&mut self, token: Token, start: usize, spaced: bool) {
        self.out.push(Lexed { token, span: Span::new(start, self.at), spaced });
    }

    fn run(&mut self) -> Result<(), ParseError> {
        let mut trim_next = false;
        loop {
            let rest = self.rest();
            let (mut literal, open) = match rest.find("{{") {
                Some(i) => (&rest[..i], Some(self.at + i)),
                None => (rest, None),
            };
            let start = self.at;
            self.at += literal.len();
            if trim_next {
                literal = literal.trim_start_matches(WHITESPACE);
            }
            let trims = open.is_some() && left_trim(&self.rest()[2..]);
            if trims {
                literal = literal.trim_end_matches(WHITESPACE);
            }
            if !literal.is_empty() {
                self.push(Token::Text(literal.to_owned()), start, false);
            }
            let Some(open) = open else { return Ok(()) };
            self.at = open + 2 + usize::from(trims);
            let space = self.rest().len() - self.rest().trim_start_matches(WHITESPACE).len();
            let comment = if trims { space } else { 0 };
            if self.rest()[comment..].starts_with("/*") {
                self.at += comment;
                trim_next = self.comment(open)?;
                continue;
            }
            self.push(Token::Open { trims }, open, false);
            trim_next = self.action(open)?;
        }
    }

    /// Skips a comment, from `/*` past `}}`. Returns whether a trim marker ends it.
    fn comment(&mut self, open: usize) -> Result<bool, ParseError> {
        let Some(end) = self.rest().find("*/") else {
            return Err(ParseError::new("this comment is never closed with */", Span::new(open, open + 2)));
        };
        self.at += end + 2;
        if let Some(trims) = self.close() {
            return Ok(trims);
        }
        Err(ParseError::new("a comment must be alone in its {{ }}, without spaces around it", Span::new(open, self.at)))
    }

    /// Skips `}}` or ` -}}`, if one is next. Returns whether it has a trim marker.
    fn close(&mut self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            self.at += 2;
            return Some(false);
        }
        let trimmed = rest.trim_start_matches(WHITESPACE);
        if trimmed.len() < rest.len() && trimmed.starts_with("-}}") {
            self.at += rest.len() - trimmed.len() + 3;
            return Some(true);
        }
        None
    }

    /// Reads the tokens up to `}}` and that. Returns whether a trim marker ends them.
    fn action(&mut self, open: usize) -> Result<bool, ParseError> {
        loop {
            let before = self.at;
            if let Some(trims) = self.close() {
                self.push(Token::Close { trims }, before, true);
                return Ok(trims);
            }
            let rest = self.rest();
            let space = rest.len() - rest.trim_start_matches(WHITESPACE).len();
            if space > 0 {
                self.at += space;
                if let Some(trims) = self.close() {
                    self.push(Token::Close { trims }, before + space, true);
                    return Ok(trims);
                }
            }
            self.token(open, space > 0)?;
        }
    }

    fn token(&mut self, open: usize, spaced: bool) -> Result<(), ParseError> {
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Err(ParseError::new("this {{ is never closed with }}", Span::new(open, open + 2)));
        };
        let second = rest[first.len_utf8()..].chars().next();
        let simple = |lexer: &mut Self, token, len: usize| {
            lexer.at += len;
            lexer.push(token, start, spaced);
            Ok(())
        };
        match first {
            '(' => simple(self, Token::LeftParen, 1),
            ')' => simple(self, Token::RightParen, 1),
            '|' => simple(self, Token::Pipe, 1),
            ',' => simple(self, Token::Comma, 1),
            ':' if second == Some('=') => simple(self, Token::Declare, 2),
            '=' => simple(self, Token::Assign, 1),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => {
                Err(ParseError::new("numbers with a fraction are not supported here", self.word_span(start)))
            }
            '.' => match word(&rest[1..]) {
                "" => simple(self, Token::Dot, 1),
                name => simple(self, Token::Field(name.to_owned()), 1 + name.len()),
            },
            '$' => {
                let name = word(&rest[1..]);
                simple(self, Token::Variable(name.to_owned()), 1 + name.len())
            }
            '"' | '`' | '\'' => {
                let (value, len) = literal::parse_quoted(rest, start)?;
                simple(self, Token::Literal(value), len)
            }
            '+' | '-' | '0'..='9' => {
                let len = first.len_utf8() + literal::number_len(&rest[1..]);
                let span = Span::new(start, start + len);
                let value = literal::parse_integer(&rest[..len]).map_err(|why| ParseError::new(why, span))?;
                simple(self, Token::Literal(Value::Int(value)), len)
            }
            c if c == '_' || c.is_alphabetic() => {
                let name = word(rest);
                let token = match name {
                    "true" => Token::Literal(Value::Bool(true)),
                    "false" => Token::Literal(Value::Bool(false)),
                    "nil" => Token::Literal(Value::Nil),
                    _ => Token::Name(name.to_owned()),
                };
                simple(self, token, name.len())
            }
            c => Err(ParseError::new(
                format!("unexpected {c:?} between {{{{ and }}}}"),
                Span::new(start, start + c.len_utf8()),
            )),
        }
    }

    fn word_span(&self, start: usize) -> Span {
        let rest = self.rest();
        let len = rest.find(|c: char| WHITESPACE.contains(&c) || matches!(c, '}' | ')' | '|')).unwrap_or(rest.len());
        Span::new(start, start + len.max(1))
    }
}

/// Whether what follows `{{` is a trim marker: `-` and a space (`{{-3}}` is a number).
fn left_trim(after: &str) -> bool {
    let mut chars = after.chars();
    chars.next() == Some('-') && chars.next().is_some_and(|c| WHITESPACE.contains(&c))
}

/// Returns the letters, digits and underscores at the start.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len());
    &text[..end]
}
