//! Go's literals: strings, raw strings, characters, integers.

use crate::{error::ParseError, span::Span, value::Value};

/// Parses a literal that starts with `"`, a backquote or `'`; `at` is its offset in the template. Returns its value and
/// its length.
pub(crate) fn parse_quoted(rest: &str, at: usize) -> Result<(Value, usize), ParseError> {
    let open = || Span::new(at, at + 1);
    let quote = rest.chars().next().unwrap_or('"');
    if quote == '`' {
        let Some(end) = rest[1..].find('`') else {
            return Err(ParseError::new("this string is never closed with `", open()));
        };
        return Ok((Value::String(rest[1..=end].replace('\r', "")), end + 2));
    }
    let mut bytes = Vec::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => {
                let span = Span::new(at, at + i + 1);
                let text =
                    String::from_utf8(bytes).map_err(|_| ParseError::new("these escapes are not valid UTF-8", span))?;
                if quote == '"' {
                    return Ok((Value::String(text), i + 1));
                }
                let mut all = text.chars();
                return match (all.next(), all.next()) {
                    (Some(c), None) => Ok((Value::Int(i64::from(u32::from(c))), i + 1)),
                    _ => Err(ParseError::new(
                        "single quotes hold exactly one character; write a string between \" or `",
                        span,
                    )),
                };
            }
            '\n' => break,
            '\\' => {
                let tail = &rest[i + 1..];
                let (escaped, len) = escape(tail, quote).ok_or_else(|| {
                    let shown = tail.chars().next().map_or(1, |c| 1 + c.len_utf8());
                    ParseError::new("unknown escape sequence", Span::new(at + i, at + i + shown))
                })?;
                bytes.extend(escaped);
                for _ in 0..tail[..len].chars().count() {
                    chars.next();
                }
            }
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(ParseError::new(format!("this string is never closed with {quote}"), open()))
}

/// Parses what follows a backslash. Returns the bytes that it stands for and its length.
fn escape(tail: &str, quote: char) -> Option<(Vec<u8>, usize)> {
    let first = tail.chars().next()?;
    let hex = |digits: usize| u32::from_str_radix(digits_only(tail.get(1..=digits)?)?, 16).ok();
    let scalar = |code: u32, len| {
        let c = char::from_u32(code)?;
        Some((c.encode_utf8(&mut [0; 4]).as_bytes().to_vec(), len))
    };
    let one = |byte| Some((vec![byte], 1));
    match first {
        'a' => one(7),
        'b' => one(8),
        'f' => one(12),
        'n' => one(b'\n'),
        'r' => one(b'\r'),
        't' => one(b'\t'),
        'v' => one(11),
        '\\' => one(b'\\'),
        c if c == quote => one(c as u8),
        'x' => Some((vec![u8::try_from(hex(2)?).ok()?], 3)),
        'u' => scalar(hex(4)?, 5),
        'U' => scalar(hex(8)?, 9),
        '0'..='7' => Some((vec![u8::from_str_radix(digits_only(tail.get(..3)?)?, 8).ok()?], 3)),
        _ => None,
    }
}

/// Returns the string if it has hexadecimal digits only: Rust's number parsers would accept a sign.
fn digits_only(digits: &str) -> Option<&str> {
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(digits)
}

/// Returns how many bytes at the start can belong to a number.
pub(crate) fn number_len(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len())
}

/// Parses an integer with Go's prefixes (`0x1f`, `0o17`, `017`, `0b1`) and `_` between digits.
///
/// # Errors
/// Why it is not an integer.
pub fn parse_integer(text: &str) -> Result<i64, String> {
    let fail = || {
        let fraction = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b".+-".contains(&b));
        if fraction {
            format!("{text} has a fraction; only integers are supported here")
        } else {
            format!("{text} is not an integer")
        }
    };
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let prefix = digits.get(..2).unwrap_or("").to_ascii_lowercase();
    let (radix, digits) = match prefix.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(fail());
    }
    let size = i128::from_str_radix(&digits, radix).map_err(|_| fail())?;
    i64::try_from(if negative { -size } else { size }).map_err(|_| format!("{text} is too large"))
}

/// Returns the string as a Go literal between double quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
