//! Parses a line of comma-separated values as Go's `encoding/csv` does with leading spaces trimmed, for Packer reads
//! the values of `filters` that way.

/// Parses a line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_line(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            rest = loop {
                let Some(end) = quoted.find('"') else {
                    return Err("a quote is never closed".to_owned());
                };
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                // A doubled quote stands for a quote.
                match quoted.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => break quoted,
                }
            };
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err("a comma is needed after a closing quote".to_owned());
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
            if field.contains('"') {
                return Err("there is a quote inside a value".to_owned());
            }
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_gos_csv_parses() {
        let parse = |line: &str| parse_line(line).unwrap();
        assert_eq!(parse("a,b"), ["a", "b"]);
        assert_eq!(parse("a"), ["a"]);
        assert_eq!(parse(" a,  b c"), ["a", "b c"]);
        assert_eq!(parse("\"a,b\",c"), ["a,b", "c"]);
        assert_eq!(parse("\"say \"\"x\"\"\""), ["say \"x\""]);
        assert_eq!(parse("a,"), ["a", ""]);
        assert!(parse_line("a\"b").is_err());
        assert!(parse_line("\"a").is_err());
        assert!(parse_line("\"a\"b").is_err());
    }
}
