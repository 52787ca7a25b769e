//! One request to a service.

use std::{sync::Arc, time::Duration};

use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How large an answer may be, in bytes: Consul's and Vault's limit for one value is less.
const MAX_BYTES: u64 = 4 << 20;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status of HTTP.
    pub(super) status: u16,
    /// The body; bytes that are not UTF-8 are replaced.
    pub(super) body: String,
}

/// Gets a URL with these headers. A redirection is not followed: a header may be a secret, and another server may be
/// meant. Certificates are checked against the system's, or those of SSL_CERT_FILE.
pub(super) fn get(url: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
    let mut request = agent().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request.call())
}

/// Puts a body to a URL, as [`get`] gets one.
#[cfg(feature = "aws")]
pub(super) fn put(url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, String> {
    let mut request = agent().put(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request.send(body))
}

fn agent() -> Agent {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .tls_config(tls)
        .build();
    Agent::new_with_config(config)
}

fn answer(response: Result<Response<Body>, ureq::Error>) -> Result<Answer, String> {
    let mut response = response.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_BYTES).lossy_utf8(true).read_to_string();
    Ok(Answer { status, body: body.map_err(|error| error.to_string())? })
}

/// Returns a path with everything escaped that is special in a URL.
pub(super) fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_of_a_path_are_escaped() {
        assert_eq!(escaped("secret/data/web"), "secret/data/web");
        assert_eq!(escaped("a b?c#d%é"), "a%20b%3Fc%23d%25%C3%A9");
    }
}
