//! `format` and `formatlist`: the verbs of Go's `printf` as HCL has them.

use unicode_segmentation::UnicodeSegmentation as _;

use super::{arguments::Arguments, function::Function, json};
use crate::{
    error::Fault,
    number::Number,
    types::{DEFERRED, to_bool, to_number, to_text},
    value::Value,
};

type Result<T> = std::result::Result<T, Fault>;

/// The largest width and precision.
const MAX_WIDTH: usize = 4096;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("format", &["format", "values..."], |a| {
        let values: Vec<&Value> = a.rest(1).map(|(_, value)| value).collect();
        format(a, &values)
    }),
    Function::new("formatlist", &["format", "values..."], formatlist),
];

/// Formats once for each element of the lists among the values; other values are the same each time.
fn formatlist(arguments: &Arguments<'_>) -> Result<Value> {
    let mut length = None;
    for (index, value) in arguments.rest(1) {
        if let Value::List(items) = value {
            match length {
                Some(length) if length != items.len() => {
                    return Err(
                        Fault::new(format!("this list has {} elements, another {length}", items.len())).argument(index)
                    );
                }
                _ => length = Some(items.len()),
            }
        }
    }
    let texts = (0..length.unwrap_or(1)).map(|i| {
        let values = arguments.rest(1).map(|(_, value)| match value {
            Value::List(items) => &items[i],
            other => other,
        });
        format(arguments, &values.collect::<Vec<_>>())
    });
    texts.collect::<Result<Vec<_>>>().map(Value::List)
}

/// A verb with its flags: `%-08.3f`.
#[derive(Default)]
struct Verb {
    text: String,
    letter: char,
    left: bool,
    zero: bool,
    sharp: bool,
    plus: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
    /// The value that it writes, from 1, if it says so: `%[2]s`.
    index: Option<usize>,
}

fn format(arguments: &Arguments<'_>, values: &[&Value]) -> Result<Value> {
    let format = arguments.text(0)?;
    let (mut out, mut deferred) = (String::new(), false);
    let (mut next, mut used) = (0, 0);
    let mut rest = &*format;
    while let Some(start) = rest.find('%') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let (verb, length) = parse(rest).map_err(|error| Fault::new(error).argument(0))?;
        rest = &rest[length..];
        if verb.letter == '%' {
            out.push('%');
            continue;
        }
        let index = verb.index.map_or(next, |index| index - 1);
        next = index + 1;
        used = used.max(next);
        let Some(value) = values.get(index) else {
            return Err(Fault::new(format!("there is no value for {}: {} are given", verb.text, values.len())));
        };
        let text = match value {
            Value::Deferred(text) if matches!(verb.text.as_str(), "%s" | "%v") => {
                deferred = true;
                text.clone()
            }
            value => write(&verb, value).map_err(|error| Fault::new(format!("{}: {error}", verb.text)))?,
        };
        arguments.budget.spend_text(text.len())?;
        out.push_str(&text);
    }
    out.push_str(rest);
    if used < values.len() {
        return Err(Fault::new(format!("{} values are given, but the format uses only {used}", values.len())));
    }
    Ok(if deferred { Value::Deferred(out) } else { Value::String(out) })
}

/// Parses the verb at the start of the text, and returns its length, too.
fn parse(text: &str) -> std::result::Result<(Verb, usize), String> {
    let mut verb = Verb::default();
    let mut rest = &text[1..];
    while let Some(flag) = rest.chars().next().filter(|c| "-0#+ ".contains(*c)) {
        match flag {
            '-' => verb.left = true,
            '0' => verb.zero = true,
            '#' => verb.sharp = true,
            '+' => verb.plus = true,
            _ => verb.space = true,
        }
        rest = &rest[1..];
    }
    index(&mut rest, &mut verb)?;
    verb.width = number(&mut rest)?.unwrap_or(0);
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        verb.precision = Some(number(&mut rest)?.unwrap_or(0));
    }
    index(&mut rest, &mut verb)?;
    verb.letter = rest.chars().next().ok_or("the format ends within a verb; write %% for a percent sign")?;
    let length = text.len() - rest.len() + verb.letter.len_utf8();
    verb.text = text[..length].to_owned();
    if !"vtbdoxXeEfgGsq%".contains(verb.letter) {
        return Err(format!("{} is no verb; write %s, %q, %d, %x, %f, %t, %v, or %% for a percent sign", verb.text));
    }
    Ok((verb, length))
}

fn number(rest: &mut &str) -> std::result::Result<Option<usize>, String> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    match number.parse::<usize>() {
        _ if digits == 0 => Ok(None),
        Ok(number) if number <= MAX_WIDTH => Ok(Some(number)),
        _ => Err(format!("a width or precision above {MAX_WIDTH} is not supported")),
    }
}

fn index(rest: &mut &str, verb: &mut Verb) -> std::result::Result<(), String> {
    if let Some(after) = rest.strip_prefix('[') {
        let (number, after) = after.split_once(']').ok_or("a [ in a verb is not closed")?;
        let number = number.parse::<usize>().ok().filter(|number| (1..=MAX_WIDTH).contains(number));
        verb.index = Some(number.ok_or("in a verb, the number of the value, from 1, is required between [ and ]")?);
        *rest = after;
    }
    Ok(())
}

fn write(verb: &Verb, value: &Value) -> std::result::Result<String, String> {
    if matches!(value, Value::Deferred(_)) {
        return Err(DEFERRED.to_owned());
    }
    let text = match verb.letter {
        'v' => match value {
            Value::String(text) if !verb.sharp => text.clone(),
            Value::Number(number) if !verb.sharp => general(number, None),
            value => json::encode(value).map_err(|fault| fault.message)?,
        },
        's' | 'q' => {
            let text = to_text(value)?;
            // As HCL has it, a precision of 0 is none.
            let most = verb.precision.filter(|precision| *precision > 0).unwrap_or(usize::MAX);
            let text: String = text.graphemes(true).take(most).collect();
            if verb.letter == 'q' { json::encode(&Value::String(text)).map_err(|fault| fault.message)? } else { text }
        }
        't' => return Ok(to_bool(value)?.to_string()),
        _ => return number_text(verb, &*to_number(value)?),
    };
    Ok(padded(verb, &text))
}

/// Pads a text to the width; characters are grapheme clusters.
fn padded(verb: &Verb, text: &str) -> String {
    let missing = verb.width.saturating_sub(text.graphemes(true).count());
    let padding = if verb.zero { "0" } else { " " }.repeat(missing);
    if verb.left { format!("{text}{padding}") } else { format!("{padding}{text}") }
}

/// Writes a number as Go does: zeros go between the sign and the digits.
fn number_text(verb: &Verb, number: &Number) -> std::result::Result<String, String> {
    let absolute = number.abs();
    let digits = match verb.letter {
        'f' => absolute.with_fraction(u32::try_from(verb.precision.unwrap_or(6)).unwrap_or(u32::MAX)),
        'e' | 'E' => scientific(&absolute.rounded(verb.precision.unwrap_or(6) + 1), verb.precision.unwrap_or(6)),
        'g' | 'G' => general(&absolute, verb.precision),
        _ => {
            let integer =
                absolute.to_integer().ok_or_else(|| format!("an integer is required, but this is {number}"))?;
            let (base, prefix) = match verb.letter {
                'b' => (2, "0b"),
                'o' => (8, "0"),
                'x' | 'X' => (16, "0x"),
                _ => (10, ""),
            };
            let digits = integer.to_str_radix(base);
            let digits = format!("{digits:0>width$}", width = verb.precision.unwrap_or(0));
            if verb.sharp { format!("{prefix}{digits}") } else { digits }
        }
    };
    let digits = if verb.letter.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
    let sign = match number.signum() {
        -1 => "-",
        _ if verb.plus => "+",
        _ if verb.space => " ",
        _ => "",
    };
    if verb.zero && !verb.left {
        let width = verb.width.saturating_sub(sign.len());
        return Ok(format!("{sign}{digits:0>width$}"));
    }
    Ok(padded(&Verb { zero: false, width: verb.width, left: verb.left, ..Verb::default() }, &format!("{sign}{digits}")))
}

/// Writes a number with an exponent of at least two digits and so many digits after the point.
fn scientific(number: &Number, fraction: usize) -> String {
    let (negative, digits, exponent) = number.parts();
    let (first, rest) = digits.split_at(1);
    let point = if fraction > 0 { "." } else { "" };
    let sign = if negative { "-" } else { "" };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest:0<fraction$}e{exponent_sign}{:02}", exponent.unsigned_abs())
}

/// Writes a number as Go's `%g`: with an exponent if it is small or large. Without a precision, 6 digits decide.
fn general(number: &Number, precision: Option<usize>) -> String {
    let number = precision.map_or(number.clone(), |digits| number.rounded(digits.max(1)));
    let (_, digits, exponent) = number.parts();
    let most = match precision {
        None => 6,
        Some(digits_wanted) if digits_wanted > digits.len() && digits.len() as i64 > exponent => digits.len() as i64,
        Some(digits_wanted) => digits_wanted.max(1) as i64,
    };
    if exponent < -4 || exponent >= most { scientific(&number, digits.len() - 1) } else { number.to_string() }
}
