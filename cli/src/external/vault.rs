//! One key of a secret in Vault, as Packer's function `vault` reads it (packer-plugin-sdk: template/interpolate, common
//! functions).

use serde_json::Value;

use super::http;

/// Where Vault is if VAULT_ADDR is not set.
pub(super) const ADDRESS: &str = "https://127.0.0.1:8200";

/// Returns one key of a secret. `get` looks up an environment variable.
pub(super) fn value(path: &str, key: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let token = get("VAULT_TOKEN").ok_or("VAULT_TOKEN is not set")?;
    let address = get("VAULT_ADDR").unwrap_or_else(|| ADDRESS.to_owned());
    let url = format!("{}/v1/{}", address.trim_end_matches('/'), http::escaped(path.trim_matches('/')));
    let failed = |why: &str| format!("reading {path} from Vault: {why}");
    let answer =
        http::get(&url, &headers(&token, get("VAULT_NAMESPACE").as_deref())).map_err(|error| failed(&error))?;
    match answer.status {
        200 => of_secret(&answer.body, key).map_err(|why| failed(&why)),
        404 => Err(failed("there is nothing at this path")),
        403 => Err(failed("permission denied: does the policy of VAULT_TOKEN allow to read it?")),
        status @ 300..400 => {
            Err(failed(&format!("Vault redirects (status {status}): set VAULT_ADDR to its active node")))
        }
        status => Err(failed(&format!("Vault answered with status {status}"))),
    }
}

pub(super) fn headers<'a>(token: &'a str, namespace: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    let namespace = namespace.map(|namespace| ("X-Vault-Namespace", namespace));
    std::iter::once(("X-Vault-Token", token)).chain(namespace).collect()
}

/// Returns one key of a secret: of version 2 of the KV engine, which has the keys in an object `data` of its own, or of
/// version 1.
fn of_secret(body: &str, key: &str) -> Result<String, String> {
    let answer: Value = serde_json::from_str(body).map_err(|_| "the answer is not JSON".to_owned())?;
    let data = &answer["data"];
    let keys = if data["data"].is_object() { &data["data"] } else { data };
    match &keys[key] {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Err(format!("the secret has no key {key}")),
        _ => Err(format!("the key {key} is not a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_the_engine_are_read() {
        assert_eq!(of_secret(r#"{"data": {"data": {"pw": "a"}, "metadata": {}}}"#, "pw"), Ok("a".to_owned()));
        assert_eq!(of_secret(r#"{"data": {"pw": "b"}}"#, "pw"), Ok("b".to_owned()));
        assert_eq!(
            of_secret(r#"{"data": {"pw": 1, "secret": "c"}}"#, "pw"),
            Err("the key pw is not a text".to_owned())
        );
        assert_eq!(of_secret(r#"{"data": {"secret": "c"}}"#, "pw"), Err("the secret has no key pw".to_owned()));
        assert!(of_secret("<html>", "pw").is_err() && of_secret("{}", "pw").is_err());
    }

    #[test]
    fn without_a_token_nobody_is_asked() {
        assert_eq!(value("secret/web", "pw", &|_| None), Err("VAULT_TOKEN is not set".to_owned()));
    }
}
