//! Times as text, by Go's reference layout (`2006-01-02 15:04:05`) and by `strftime`. Always UTC.
//!
//! The elements of a layout are those of Go's package `time`. The conversions of `strftime` are C's usual ones; Packer
//! knows fewer and leaves the others as they are written.

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Go's `time.RFC3339`.
pub const RFC_3339: &str = "2006-01-02T15:04:05Z07:00";

/// The elements of a layout and the `strftime` format that writes each. Where one begins with another, it comes first.
const ELEMENTS: [(&str, &str); 34] = [
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("1", "%-m"),
    ("2006", "%Y"),
    ("2", "%-d"),
    ("_2006", "_%Y"),
    ("__2", "%_j"),
    ("_2", "%e"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("-07:00:00", "+00:00:00"),
    ("-070000", "+000000"),
    ("-07:00", "+00:00"),
    ("-0700", "+0000"),
    ("-07", "+00"),
    ("Z07:00:00", "Z"),
    ("Z070000", "Z"),
    ("Z07:00", "Z"),
    ("Z0700", "Z"),
    ("Z07", "Z"),
];

/// Formats the time (milliseconds since 1970, UTC) by a Go layout. Other text is copied.
pub fn format(layout: &str, millis: u64) -> String {
    let time = utc(millis);
    let mut format = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let length = if let Some((length, digits)) = fraction(rest, &time) {
            format.push_str(&digits);
            length
        } else if let Some((element, conversion)) = ELEMENTS.iter().find(|(element, _)| starts_with(rest, element)) {
            format.push_str(conversion);
            element.len()
        } else {
            format.push(first);
            if first == '%' {
                format.push('%');
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    time.strftime(&format).to_string()
}

/// Formats the time (milliseconds since 1970, UTC) by a `strftime` format.
///
/// # Errors
/// The conversion that is not supported.
pub fn strftime(text: &str, millis: u64) -> Result<String, String> {
    let mut format = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            format.push(c);
            continue;
        }
        match chars.next() {
            None => return Err("the format ends with a single %".to_owned()),
            Some('c') => format.push_str("%a %b %e %T %Y"),
            Some('r') => format.push_str("%I:%M:%S %p"),
            Some('v') => format.push_str("%e-%b-%Y"),
            Some('x') => format.push_str("%D"),
            Some('X') => format.push_str("%T"),
            Some(letter) if "AaBbCDdeFHhIjklMmnpRSTtUuVwYyZz%".contains(letter) => format.extend(['%', letter]),
            Some(other) => return Err(format!("the conversion %{other} is not supported")),
        }
    }
    Ok(utc(millis).strftime(&format).to_string())
}

fn utc(millis: u64) -> Zoned {
    let timestamp = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    timestamp.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC)
}

/// Whether the text starts with this element. Go takes a lower-case letter after `Jan` or `Mon` for the rest of a word.
fn starts_with(rest: &str, element: &str) -> bool {
    rest.strip_prefix(element)
        .is_some_and(|after| !(matches!(element, "Jan" | "Mon") && after.starts_with(|c: char| c.is_ascii_lowercase())))
}

/// Returns the length of the fraction of a second at the start, and its digits: `.000` writes that many, `.999` as many
/// as are not zeros at the end.
fn fraction(rest: &str, time: &Zoned) -> Option<(usize, String)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let kind = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let after = rest[1..].trim_start_matches(kind);
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let count = rest.len() - 1 - after.len();
    let nanos = format!("{:09}", time.subsec_nanosecond());
    let digits = &nanos[..count.min(9)];
    let digits = if kind == '9' { digits.trim_end_matches('0') } else { digits };
    Some((1 + count, if digits.is_empty() { String::new() } else { format!("{separator}{digits}") }))
}
