//! The value in a secret of AWS Secrets Manager, as the function `aws_secretsmanager` takes it.

use serde_json::Value;

/// Returns the value of a key of a secret that is a JSON object, or without a key its only one. A secret that is no
/// object is the value itself.
///
/// # Errors
/// Why there is no such value. Values are not quoted.
pub(super) fn value(secret: &str, key: Option<&str>) -> Result<String, String> {
    let Ok(Value::Object(values)) = serde_json::from_str(secret) else {
        return Ok(secret.to_owned());
    };
    let found = match (key, values.len()) {
        (Some(key), _) => values.get(key).ok_or_else(|| format!("the secret has no key {key}"))?,
        (None, 1) => values.values().next().ok_or("the secret is empty")?,
        (None, count) => return Err(format!("the secret has {count} keys: name one as the second argument")),
    };
    Ok(match found {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_that_of_the_key() {
        assert_eq!(value("plain", None), Ok("plain".to_owned()));
        assert_eq!(value(r#"{"a": "1", "b": 2}"#, Some("b")), Ok("2".to_owned()));
        assert_eq!(value(r#"{"a": "1"}"#, None), Ok("1".to_owned()));
        assert!(value(r#"{"a": "1", "b": 2}"#, None).is_err());
        assert!(value(r#"{"a": "1"}"#, Some("c")).is_err());
    }
}
