//! The tokens of HCL, as far as brackets, templates and lines go. Total: what is no token of HCL is one of its own.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident,
    Number,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    OpenQuote,
    CloseQuote,
    /// `<<EOT` with the end of its line.
    OpenHeredoc,
    /// The line of the delimiter, without its end.
    CloseHeredoc,
    /// Literal text of a string or heredoc: in a heredoc, at most a line with its end.
    Text,
    /// `${` or `${~`
    OpenInterpolation,
    /// `%{` or `%{~`
    OpenControl,
    /// `}` or `~}` of `${` and `%{`
    CloseSequence,
    /// A comment; one that goes to the end of its line has the line's end.
    Comment,
    Newline,
    Dot,
    Comma,
    Ellipsis,
    DoubleColon,
    Equal,
    FatArrow,
    Colon,
    Question,
    Minus,
    Bang,
    /// Any other operator.
    Operator,
    /// A quoted string that is not closed on its line.
    UnclosedQuote,
    /// What is no token of HCL.
    Other,
}

/// A token and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// What the lexer is in.
#[derive(Clone, Copy)]
enum Mode<'a> {
    /// Brackets of an expression or block; for braces, whether they are those of `${` or `%{`.
    Brace {
        sequence: bool,
    },
    Quote,
    Heredoc {
        delimiter: &'a str,
        line_start: bool,
    },
}

/// Returns the tokens of a file; blanks are not among them.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, position: 0, modes: Vec::new(), tokens: Vec::new() };
    while lexer.position < text.len() {
        lexer.next();
    }
    lexer.tokens
}

/// Returns the tokens of a template without quotes around it.
pub(crate) fn template_tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, position: 0, modes: Vec::new(), tokens: Vec::new() };
    while lexer.position < text.len() {
        match lexer.modes.last().copied() {
            None if lexer.begin_sequence() => {}
            None => lexer.push(Kind::Text, text_length(lexer.rest(), false)),
            Some(_) => lexer.next(),
        }
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    position: usize,
    modes: Vec<Mode<'a>>,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let end = self.position + length;
        self.tokens.push(Token { kind, span: self.position..end });
        self.position = end;
    }

    fn next(&mut self) {
        match self.modes.last().copied() {
            None | Some(Mode::Brace { .. }) => self.main(),
            Some(Mode::Quote) => self.quoted(),
            Some(Mode::Heredoc { delimiter, line_start }) => self.heredoc(delimiter, line_start),
        }
    }

    fn main(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let next = bytes.get(1).copied();
        match bytes[0] {
            b' ' | b'\t' => self.position += 1,
            b'\n' => self.push(Kind::Newline, 1),
            b'\r' if next == Some(b'\n') => self.push(Kind::Newline, 2),
            b'#' => self.line_comment(),
            b'/' if next == Some(b'/') => self.line_comment(),
            b'/' if next == Some(b'*') => {
                self.push(Kind::Comment, rest[2..].find("*/").map_or(rest.len(), |end| end + 4));
            }
            b'"' => {
                self.push(Kind::OpenQuote, 1);
                self.modes.push(Mode::Quote);
            }
            b'<' if self.begin_heredoc() => {}
            b'{' => {
                self.push(Kind::OpenBrace, 1);
                self.modes.push(Mode::Brace { sequence: false });
            }
            b'~' if next == Some(b'}') => self.close_brace(2),
            b'}' => self.close_brace(1),
            b'0'..=b'9' => self.push(Kind::Number, number_length(rest)),
            _ => self.ident_or_symbol(),
        }
    }

    fn line_comment(&mut self) {
        let rest = self.rest();
        self.push(Kind::Comment, rest.find('\n').map_or(rest.len(), |end| end + 1));
    }

    fn close_brace(&mut self, length: usize) {
        // A template's brace belongs to the innermost that is open.
        let sequence = matches!(self.modes.last(), Some(Mode::Brace { sequence: true }));
        if sequence || length == 1 {
            self.modes.pop();
        }
        match (sequence, length) {
            (true, _) => self.push(Kind::CloseSequence, length),
            (false, 1) => self.push(Kind::CloseBrace, 1),
            (false, _) => self.push(Kind::Other, 1),
        }
    }

    fn ident_or_symbol(&mut self) {
        const SYMBOLS: [(&str, Kind); 29] = [
            ("...", Kind::Ellipsis),
            ("==", Kind::Operator),
            ("!=", Kind::Operator),
            ("<=", Kind::Operator),
            (">=", Kind::Operator),
            ("&&", Kind::Operator),
            ("||", Kind::Operator),
            ("::", Kind::DoubleColon),
            ("=>", Kind::FatArrow),
            ("[", Kind::OpenBracket),
            ("]", Kind::CloseBracket),
            ("(", Kind::OpenParen),
            (")", Kind::CloseParen),
            (".", Kind::Dot),
            (",", Kind::Comma),
            ("=", Kind::Equal),
            (":", Kind::Colon),
            ("?", Kind::Question),
            ("-", Kind::Minus),
            ("!", Kind::Bang),
            ("+", Kind::Operator),
            ("*", Kind::Operator),
            ("/", Kind::Operator),
            ("%", Kind::Operator),
            ("<", Kind::Operator),
            (">", Kind::Operator),
            ("&", Kind::Other),
            ("|", Kind::Other),
            ("~", Kind::Other),
        ];
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(rest.len());
            self.push(Kind::Ident, end);
        } else if let Some((symbol, kind)) = SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
            self.push(*kind, symbol.len());
        } else {
            self.push(Kind::Other, rest.chars().next().map_or(1, char::len_utf8));
        }
    }

    /// Whether a heredoc begins here; if so, its first token is taken.
    fn begin_heredoc(&mut self) -> bool {
        let Some(rest) = self.rest().strip_prefix("<<") else {
            return false;
        };
        let after = rest.strip_prefix('-').unwrap_or(rest);
        let Some(end) = after.find('\n') else {
            return false;
        };
        let delimiter = after[..end].strip_suffix('\r').unwrap_or(&after[..end]);
        let mut chars = delimiter.chars();
        let is_ident = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if is_ident {
            self.push(Kind::OpenHeredoc, self.rest().len() - after.len() + end + 1);
            self.modes.push(Mode::Heredoc { delimiter, line_start: true });
        }
        is_ident
    }

    /// Takes the beginning of a `${` or `%{`, if one is here.
    fn begin_sequence(&mut self) -> bool {
        let rest = self.rest();
        let kind = match rest.as_bytes() {
            [b'$', b'{', ..] => Kind::OpenInterpolation,
            [b'%', b'{', ..] => Kind::OpenControl,
            _ => return false,
        };
        self.push(kind, if rest.as_bytes().get(2) == Some(&b'~') { 3 } else { 2 });
        self.modes.push(Mode::Brace { sequence: true });
        true
    }

    fn quoted(&mut self) {
        if self.rest().starts_with('"') {
            self.modes.pop();
            self.push(Kind::CloseQuote, 1);
        } else if self.rest().starts_with(['\n', '\r']) {
            self.modes.pop();
            self.push(Kind::UnclosedQuote, 0);
        } else if !self.begin_sequence() {
            self.push(Kind::Text, text_length(self.rest(), true));
        }
    }

    fn heredoc(&mut self, delimiter: &'a str, line_start: bool) {
        let rest = self.rest();
        let line = rest.split_inclusive('\n').next().unwrap_or(rest);
        if line_start && line.trim() == delimiter {
            self.modes.pop();
            self.push(Kind::CloseHeredoc, line.trim_end_matches(['\n', '\r']).len());
            return;
        }
        let at_sequence = rest.starts_with("${") || rest.starts_with("%{");
        let length = text_length(line, false);
        if let Some(Mode::Heredoc { line_start, .. }) = self.modes.last_mut() {
            *line_start = !at_sequence && line[..length].ends_with('\n');
        }
        if !self.begin_sequence() {
            self.push(Kind::Text, length);
        }
    }
}

fn number_length(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(text);
    if let Some(fraction) = text[length..].strip_prefix('.').map(digits).filter(|digits| *digits > 0) {
        length += 1 + fraction;
    }
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits(unsigned) > 0 {
            length += 1 + exponent.len() - unsigned.len() + digits(unsigned);
        }
    }
    length
}

/// Returns the length of the literal text at the start, at least 1: up to `${` or `%{`, and in quotes, up to the
/// closing one or the end of the line.
fn text_length(text: &str, quoted: bool) -> usize {
    let bytes = text.as_bytes();
    let mut i = 0;
    while let Some(byte) = bytes.get(i) {
        match byte {
            b'"' | b'\n' | b'\r' if quoted => break,
            b'\\' if quoted && bytes.get(i + 1).is_some_and(|next| !matches!(next, b'\n' | b'\r')) => i += 2,
            b'$' | b'%' if bytes[i + 1..].starts_with(&[*byte, b'{']) => i += 3,
            b'$' | b'%' if bytes.get(i + 1) == Some(&b'{') => break,
            _ => i += 1,
        }
    }
    // An escaped character may be of several bytes.
    text.ceil_char_boundary(i.clamp(1, text.len()))
}
