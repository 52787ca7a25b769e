//! Flags that take a value after `=`, as Go's do: `-force`, `-force=true`, `-color=false`.

/// Parses the value of a flag: the texts of Go's `strconv.ParseBool`, which Packer's flags take.
pub(super) fn parse(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}
