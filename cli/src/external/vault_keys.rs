//! Credentials of AWS from Vault's AWS secrets engine: `vault_aws_engine`.

use bakehouse_protocol::access::{Keys, Secret, VaultAwsEngine};
use serde_json::Value;

use super::{
    http,
    vault::{ADDRESS, headers},
};

/// Returns credentials of AWS from Vault's AWS secrets engine . `get` looks up an environment
/// variable.
///
/// # Errors
/// Why there are none, in one line.
pub(crate) fn aws_keys(engine: &VaultAwsEngine, get: &dyn Fn(&str) -> Option<String>) -> Result<Keys, String> {
    let token = get("VAULT_TOKEN").ok_or("VAULT_TOKEN is not set")?;
    let address = get("VAULT_ADDR").unwrap_or_else(|| ADDRESS.to_owned());
    let mount = engine.engine_name.trim_matches('/');
    let (kind, body) = match &engine.role_arn {
        None => ("creds", None),
        Some(role) => {
            let mut body = serde_json::json!({ "role_arn": role });
            if let Some(ttl) = &engine.ttl {
                body["ttl"] = ttl.as_str().into();
            }
            ("sts", Some(body.to_string()))
        }
    };
    let path = format!("{mount}/{kind}/{}", engine.name);
    let failed = |why: &str| format!("credentials of AWS from Vault ({path}): {why}");
    let url = format!("{}/v1/{}", address.trim_end_matches('/'), http::escaped(&path));
    let namespace = get("VAULT_NAMESPACE");
    let headers = headers(&token, namespace.as_deref());
    let answer = match body {
        None => http::get(&url, &headers),
        Some(body) => http::put(&url, &headers, &body),
    }
    .map_err(|error| failed(&error))?;
    if answer.status != 200 {
        return Err(failed(&format!("Vault answered with status {}", answer.status)));
    }
    keys_of(&answer.body).ok_or_else(|| failed("the answer has no access_key and secret_key"))
}

fn keys_of(body: &str) -> Option<Keys> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let data = &answer["data"];
    Some(Keys {
        access_key: data["access_key"].as_str()?.to_owned(),
        secret_key: Secret::new(data["secret_key"].as_str()?),
        token: data["security_token"].as_str().map(Secret::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_and_lasting_keys_are_read() {
        let keys = keys_of(r#"{"data": {"access_key": "A", "secret_key": "s", "security_token": null}}"#).unwrap();
        assert_eq!((keys.access_key.as_str(), keys.secret_key.reveal(), keys.token), ("A", "s", None));
        let keys = keys_of(r#"{"data": {"access_key": "A", "secret_key": "s", "security_token": "t"}}"#).unwrap();
        assert_eq!(keys.token, Some(Secret::new("t")));
        assert_eq!(keys_of(r#"{"data": {}}"#), None);
    }
}
