//! The services, as the template crate asks them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bakehouse_protocol::spec::ImageQuery;
use bakehouse_template::{External, ImageData, ParameterData, Place, SecretData, SecretVersion};

use super::{consul, vault};

/// The services of this machine's environment. Each is asked only if a template names it.
pub(crate) struct Services {
    environment: BTreeMap<String, String>,
    /// Answers for Secrets Manager, Parameter Store and EC2; absent in a program without the SDK.
    aws: Option<Arc<dyn External>>,
}

/// Without the environment, which holds tokens.
impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl Services {
    /// Returns the services of an environment.
    pub(crate) fn new(environment: BTreeMap<String, String>, aws: Option<Arc<dyn External>>) -> Self {
        Self { environment, aws }
    }

    /// Looks up an environment variable; one that is empty counts as unset.
    fn get(&self, name: &str) -> Option<String> {
        self.environment.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn aws(&self) -> Result<&dyn External, String> {
        self.aws.as_deref().ok_or_else(|| {
            "this program was built without the feature `aws`, and can't ask AWS: `cargo build -p bakehouse --features aws` \
             makes one that can"
                .to_owned()
        })
    }
}

impl External for Services {
    fn secret(&self, name: &str) -> Result<String, String> {
        self.aws()?.secret(name)
    }

    fn vault(&self, path: &str, key: &str) -> Result<String, String> {
        vault::value(path, key, &|name| self.get(name))
    }

    fn consul_key(&self, key: &str) -> Result<String, String> {
        consul::value(key, &|name| self.get(name))
    }

    fn image(&self, query: &ImageQuery, place: &Place) -> Result<ImageData, String> {
        self.aws()?.image(query, place)
    }

    fn parameter(&self, name: &str, with_decryption: bool, place: &Place) -> Result<ParameterData, String> {
        self.aws()?.parameter(name, with_decryption, place)
    }

    fn secret_version(&self, name: &str, version: &SecretVersion, place: &Place) -> Result<SecretData, String> {
        self.aws()?.secret_version(name, version, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    /// A server that answers one request with this status and this body. Returns its address, and the request.
    fn server(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..read]);
            }
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
            String::from_utf8(request).unwrap()
        };
        (address, thread::spawn(answer))
    }

    fn services(variables: &[(&str, &str)]) -> Services {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Services::new(variables.collect(), None)
    }

    fn vault(address: &str) -> Services {
        let address = format!("http://{address}/");
        services(&[("VAULT_ADDR", &address), ("VAULT_TOKEN", "s.token"), ("VAULT_NAMESPACE", "team")])
    }

    #[test]
    fn vault_is_asked_with_the_token() {
        let (address, request) = server("200 OK", r#"{"data": {"data": {"pw": "hunter22"}}}"#);
        assert_eq!(vault(&address).vault("secret/data/my web", "pw"), Ok("hunter22".to_owned()));
        let request = request.join().unwrap().to_lowercase();
        assert!(request.starts_with("get /v1/secret/data/my%20web http/1.1\r\n"), "{request}");
        assert!(request.contains("x-vault-token: s.token\r\n"), "{request}");
        assert!(request.contains("x-vault-namespace: team\r\n"), "{request}");
    }

    #[test]
    fn what_vault_refuses_is_told_without_the_token() {
        for (status, told) in
            [("404 Not Found", "nothing at this path"), ("403 Forbidden", "permission denied"), ("307 X", "redirects")]
        {
            let (address, request) = server(status, "{}");
            let error = vault(&address).vault("secret/web", "pw").unwrap_err();
            request.join().unwrap();
            assert!(error.starts_with("reading secret/web from Vault: ") && error.contains(told), "{error}");
            assert!(!error.contains("s.token"), "{error}");
        }
        // Nobody listens there.
        assert!(vault("127.0.0.1:1").vault("secret/web", "pw").is_err());
    }

    #[test]
    fn consul_is_asked_for_the_value_itself() {
        let (address, request) = server("200 OK", "web-1\n");
        let consul = services(&[("CONSUL_HTTP_ADDR", &address), ("CONSUL_HTTP_TOKEN", "t")]);
        assert_eq!(consul.consul_key("ami/name"), Ok("web-1\n".to_owned()));
        let request = request.join().unwrap().to_lowercase();
        assert!(request.starts_with("get /v1/kv/ami/name?raw http/1.1\r\n"), "{request}");
        assert!(request.contains("x-consul-token: t\r\n"), "{request}");
    }

    #[test]
    fn a_key_that_consul_has_not_is_an_error() {
        for (status, told) in [("404 Not Found", "there is none"), ("200 OK", "it has no value")] {
            let (address, request) = server(status, "");
            let error = services(&[("CONSUL_HTTP_ADDR", &address)]).consul_key("x").unwrap_err();
            request.join().unwrap();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn without_the_sdk_aws_is_not_asked() {
        let services = services(&[("VAULT_TOKEN", "s.token")]);
        assert!(services.secret("web").unwrap_err().contains("--features aws"));
        assert!(!format!("{services:?}").contains("s.token"));
    }
}
