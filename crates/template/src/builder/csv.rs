//! One line of comma-separated values, as Go's `encoding/csv` reads it with leading blanks trimmed: that is how Packer
//! reads the values of `filters`.

/// The fields.
///
/// # Errors
/// Why it is no such line.
pub(super) fn fields(line: &str) -> Result<Vec<String>, String> {
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
                // A doubled quote is a quote.
                match quoted.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => break quoted,
                }
            };
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err("after a closing quote a comma is needed".to_owned());
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
            if field.contains('"') {
                return Err("a quote stands inside of a value".to_owned());
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
    fn reads_what_gos_csv_reads() {
        let read = |line: &str| fields(line).unwrap();
        assert_eq!(read("a,b"), ["a", "b"]);
        assert_eq!(read("a"), ["a"]);
        assert_eq!(read(" a,  b c"), ["a", "b c"]);
        assert_eq!(read("\"a,b\",c"), ["a,b", "c"]);
        assert_eq!(read("\"say \"\"x\"\"\""), ["say \"x\""]);
        assert_eq!(read("a,"), ["a", ""]);
        assert!(fields("a\"b").is_err());
        assert!(fields("\"a").is_err());
        assert!(fields("\"a\"b").is_err());
    }
}
