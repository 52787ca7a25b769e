//! Go's durations: `300ms`, `-1h30m`, `1.5s`.

/// Parses a duration as Go's `time.ParseDuration` does. Returns nanoseconds.
///
/// # Errors
/// Why it is not a duration.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("\"{text}\" is not a duration");
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(0);
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let mut nanos: f64 = 0.0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        nanos += number
            * match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                "" => return Err(format!("\"{text}\" has no unit")),
                other => return Err(format!("\"{text}\" has the unknown unit \"{other}\"")),
            };
        rest = after;
    }
    // Go's limit, about 292 years.
    if nanos > i64::MAX as f64 {
        return Err(format!("\"{text}\" is too long"));
    }
    let nanos = nanos as i64;
    Ok(if text.starts_with('-') { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_go_parses() {
        for (text, nanos) in [
            ("1h30m", 5_400_000_000_000),
            ("-1.5s", -1_500_000_000),
            ("+250ms", 250_000_000),
            ("0", 0),
            ("-0", 0),
            (".5s", 500_000_000),
            ("1µs", 1000),
            ("1ns", 1),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
        for text in ["", "-", "10", "s", "10 s", "1d", "1s5", ".s", "99999999999h", "1.2.3s", "--1s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
