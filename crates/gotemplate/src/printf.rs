//! `printf` with the verbs that templates use: `%s %d %v %q %x %X %t %%`, the flags `-` and `0`, a width, and a
//! precision for strings. Anything else that Go accepts, or marks as wrong in its output, is an error.

use crate::{literal::quote, value::Value};

/// The largest width.
const MAX_WIDTH: usize = 4096;

/// Returns a value as `fmt.Print` prints it: unlike in `{{ }}`, nil is `<nil>`.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

struct Verb {
    left: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

pub(crate) fn printf(arguments: &[Value]) -> Result<String, String> {
    let Some((Value::String(format), values)) = arguments.split_first() else {
        return Err("the first argument must be the format, a string".to_owned());
    };
    let mut values = values.iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb { left: false, zero: false, width: 0, precision: None };
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '0')) {
            verb.left |= flag == '-';
            verb.zero |= flag == '0';
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut number = 0usize;
            while let Some(digit) = chars.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
                number = number.saturating_mul(10).saturating_add(digit as usize);
            }
            if number > MAX_WIDTH { Err(format!("a width above {MAX_WIDTH} is not supported")) } else { Ok(number) }
        };
        verb.width = number(&mut chars)?;
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut chars)?);
        }
        let Some(letter) = chars.next() else {
            return Err("the format ends within a verb".to_owned());
        };
        if letter == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = values.next() else {
            return Err(format!("there is no value for %{letter}"));
        };
        write_value(&mut out, &verb, letter, value)?;
    }
    match values.count() {
        0 => Ok(out),
        left => Err(format!("there are {left} more values than verbs")),
    }
}

fn write_value(out: &mut String, verb: &Verb, letter: char, value: &Value) -> Result<(), String> {
    let (text, number) = match (letter, value) {
        ('d' | 'v', Value::Int(number)) => (number.to_string(), true),
        ('x', Value::Int(number)) => (hexadecimal(*number), true),
        ('X', Value::Int(number)) => (hexadecimal(*number).to_uppercase(), true),
        ('t' | 'v', Value::Bool(yes)) => (yes.to_string(), false),
        ('s' | 'v', Value::String(text)) => (truncated(text, if letter == 's' { verb.precision } else { None }), false),
        ('q', Value::String(text)) => (quote(&truncated(text, verb.precision)), false),
        ('x' | 'X', Value::String(text)) => {
            let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
            (if letter == 'X' { hex.to_uppercase() } else { hex }, false)
        }
        ('v', other) => (display(other), false),
        ('s' | 'd' | 'q' | 'x' | 'X' | 't', other) => {
            return Err(format!("%{letter} cannot format {}", other.kind()));
        }
        _ => {
            return Err(format!("the verb %{letter} is not supported; write %s, %d, %v, %q, %x, %t or %%"));
        }
    };
    if verb.precision.is_some() && !matches!((letter, value), ('s' | 'q', Value::String(_))) {
        return Err(format!("a precision is not supported with %{letter}"));
    }
    let missing = verb.width.saturating_sub(text.chars().count());
    if verb.left {
        out.push_str(&text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if verb.zero && number {
        let digits = text.strip_prefix('-');
        out.push_str(if digits.is_some() { "-" } else { "" });
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits.unwrap_or(&text));
    } else {
        // Go pads strings with zeros, too.
        out.extend(std::iter::repeat_n(if verb.zero { '0' } else { ' ' }, missing));
        out.push_str(&text);
    }
    Ok(())
}

fn hexadecimal(number: i64) -> String {
    format!("{}{:x}", if number < 0 { "-" } else { "" }, number.unsigned_abs())
}

fn truncated(text: &str, precision: Option<usize>) -> String {
    text.chars().take(precision.unwrap_or(usize::MAX)).collect()
}
