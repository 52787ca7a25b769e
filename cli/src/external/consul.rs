//! The value of a key in Consul, as Packer's function `consul_key` reads it.

use super::http;

/// Where Consul is if CONSUL_HTTP_ADDR is not set.
const ADDRESS: &str = "127.0.0.1:8500";

/// Returns the value of a key. `get` looks up an environment variable.
pub(super) fn value(key: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let failed = |why: &str| format!("reading the key {key} from Consul: {why}");
    let address = base(get("CONSUL_HTTP_ADDR").as_deref(), get("CONSUL_HTTP_SSL").as_deref()).map_err(failed)?;
    let url = format!("{address}/v1/kv/{}?raw", http::escaped(key.trim_start_matches('/')));
    let token = get("CONSUL_HTTP_TOKEN");
    let headers: Vec<_> = token.iter().map(|token| ("X-Consul-Token", token.as_str())).collect();
    let answer = http::get(&url, &headers).map_err(|error| failed(&error))?;
    match answer.status {
        200 if answer.body.is_empty() => Err(failed("it has no value")),
        200 => Ok(answer.body),
        404 => Err(failed("there is none")),
        403 => Err(failed("permission denied: does CONSUL_HTTP_TOKEN allow to read it?")),
        status => Err(failed(&format!("Consul answered with status {status}"))),
    }
}

/// Returns the beginning of Consul's URLs.
fn base(address: Option<&str>, tls: Option<&str>) -> Result<String, &'static str> {
    let address = address.unwrap_or(ADDRESS).trim_end_matches('/');
    if address.starts_with("unix://") {
        return Err("CONSUL_HTTP_ADDR names a socket of Unix: name an address of HTTP");
    }
    if address.contains("://") {
        return Ok(address.to_owned());
    }
    let is_tls = tls.is_some_and(|tls| matches!(tls, "1" | "t" | "T" | "true" | "TRUE" | "True"));
    Ok(format!("{}://{address}", if is_tls { "https" } else { "http" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_may_have_a_scheme_or_none() {
        assert_eq!(base(None, None).unwrap(), "http://127.0.0.1:8500");
        assert_eq!(base(Some("consul:8501"), Some("true")).unwrap(), "https://consul:8501");
        assert_eq!(base(Some("https://consul/"), None).unwrap(), "https://consul");
        assert!(base(Some("unix:///run/consul.sock"), None).is_err());
    }
}
