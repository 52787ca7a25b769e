//! The durations of options: `300ms`, `1h30m`, `1.5s`.

use bakehouse_gotemplate::duration;
use bakehouse_protocol::Millis;

/// Parses a duration as Go does, except that it must not be negative, nor shorter than a millisecond.
///
/// # Errors
/// Why it is not a duration.
pub(crate) fn parse(text: &str) -> Result<Millis, String> {
    if text.starts_with('-') {
        return Err(format!("\"{text}\" is negative"));
    }
    let nanos = duration::parse(text)?;
    let millis = (nanos as f64 / 1e6).round();
    if nanos > 0 && millis < 1.0 {
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
