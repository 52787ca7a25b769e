//! The functions that take values from other services.

use crate::external::External;

/// Calls `vault`, `consul_key`, `aws_secretsmanager` or `aws_secretsmanager_raw`; `None` if it is another function.
/// `texts` are the arguments, or none if one of them is not a text.
pub(crate) fn call(name: &str, texts: &[&str], external: Option<&dyn External>) -> Option<Result<String, String>> {
    let wrong = |wanted: &str| Err(format!("takes {wanted}"));
    let with = |get: &dyn Fn(&dyn External) -> Result<String, String>| match external {
        Some(external) => get(external),
        None => Err("no value can be had from outside here: set the variable with -var".to_owned()),
    };
    Some(match (name, texts) {
        ("vault", [path, key]) => with(&|external| external.vault(path, key)),
        ("consul_key", [key]) => with(&|external| external.consul_key(key)),
        ("aws_secretsmanager_raw", [name]) => with(&|external| external.secret(name)),
        ("aws_secretsmanager", [name]) => with(&|external| value(name, &external.secret(name)?, None)),
        ("aws_secretsmanager", [name, key]) => {
            let key = Some(*key).filter(|key| !key.is_empty());
            with(&|external| value(name, &external.secret(name)?, key))
        }
        ("vault", _) => wrong("a path and a key"),
        ("consul_key", _) => wrong("one key"),
        ("aws_secretsmanager_raw", _) => wrong("the name of a secret"),
        ("aws_secretsmanager", _) => wrong("the name of a secret and perhaps a key"),
        _ => return None,
    })
}

/// Returns a value of a secret of AWS Secrets Manager. A secret that is not a JSON object has one value, its text.
///
/// # Errors
/// Why there is no such value. Values are not quoted.
pub(crate) fn value(name: &str, text: &str, key: Option<&str>) -> Result<String, String> {
    let Ok(serde_json::Value::Object(values)) = serde_json::from_str(text) else {
        return match key {
            None => Ok(text.to_owned()),
            Some(key) => Err(format!("the secret {name} has no keys, so no {key}")),
        };
    };
    let keys: Vec<&str> = values.keys().map(String::as_str).collect();
    let value = match (key, keys.as_slice()) {
        (Some(key), _) => values.get(key),
        (None, [only]) => values.get(*only),
        (None, _) => return Err(format!("the secret {name} has {} keys: name one of them", keys.len())),
    };
    match value {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(other) => Ok(other.to_string()),
        None => Err(format!("the secret {name} has no key {}", key.unwrap_or_default())),
    }
}
