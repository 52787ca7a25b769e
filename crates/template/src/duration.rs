//! Go's durations: `300ms`, `1h30m`, `1.5s`.

use bakehouse_protocol::Millis;

/// Parses a duration as Go's `time.ParseDuration` does, except that it must not be negative.
///
/// # Errors
/// Why it is not a duration.
pub(crate) fn parse(text: &str) -> Result<Millis, String> {
    if text == "0" {
        return Ok(Millis(0));
    }
    let invalid = || format!("\"{text}\" is not a duration");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(format!("\"{text}\" is negative"));
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: f64 = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number = &rest[..digits];
        if !number.bytes().any(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let number: f64 = number.parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        nanos += number
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                "" => return Err(format!("\"{text}\" has no unit")),
                other => return Err(format!("\"{text}\" has the unknown unit \"{other}\"")),
            };
        rest = &rest[unit..];
    }
    // Go's limit, about 292 years.
    if nanos > i64::MAX as f64 {
        return Err(format!("\"{text}\" is too long"));
    }
    let millis = (nanos / 1e6).round();
    if nanos > 0.0 && millis < 1.0 {
        return Err(format!("\"{text}\" is shorter than a millisecond"));
    }
    Ok(Millis(millis as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_go_parses() {
        for (text, millis) in [
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1500),
            ("250ms", 250),
            ("0", 0),
            (".5s", 500),
        ] {
            assert_eq!(parse(text), Ok(Millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "10 s", "1d", "-1s", "1s5", ".s", "1ns", "99999999999h", "1.2.3s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
