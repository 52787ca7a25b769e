//! Reads a stack's configuration: the function from the environment variable [`VARIABLE`], the command line from the
//! parameter `/bakehouse/NAME`. Both hold the same JSON, a [`StackConfig`].

use aws_config::SdkConfig;
use bakehouse_aws::{Call, CallError};
use bakehouse_protocol::{FaultKind, StackConfig};

/// The environment variable of the function.
pub const VARIABLE: &str = "BAKEHOUSE_CONFIG";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The variable is not set.
    #[error("the environment variable {VARIABLE} is not set")]
    NotSet,
    /// There is no such parameter.
    #[error("there is no stack \"{name}\" in {region}")]
    NoStack {
        /// The stack's name.
        name: String,
        /// The region in which it was looked for.
        region: String,
        /// The failed call.
        #[source]
        source: Box<CallError>,
    },
    /// No region is configured.
    #[error("can't look for the stack \"{0}\": no region is set")]
    NoRegion(String),
    /// The parameter could not be read.
    #[error("can't read the parameter {parameter} of the stack")]
    Unread {
        /// Its name.
        parameter: String,
        /// The cause.
        #[source]
        source: Box<CallError>,
    },
    /// The text is not a configuration.
    #[error("can't read the configuration in {place}")]
    Invalid {
        /// The variable or the parameter.
        place: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// It was written by another version of Bakehouse.
    #[error("the configuration in {place} is of version {is}, and this program knows {}", bakehouse_protocol::VERSION)]
    Version {
        /// The variable or the parameter.
        place: String,
        /// Its version.
        is: u64,
    },
}

impl ConfigError {
    /// Returns how to correct it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotSet => Some("the stack's template sets it for the function".to_owned()),
            Self::NoStack { .. } => {
                Some("give its name with --stack and its region with --region, or deploy it first".to_owned())
            }
            Self::NoRegion(_) => Some("give it with --region, or set AWS_REGION or the profile's region".to_owned()),
            Self::Unread { source, .. } => source.fault.hint.clone(),
            Self::Invalid { .. } => Some("deploy the stack again with this version of Bakehouse".to_owned()),
            Self::Version { is, .. } if *is > bakehouse_protocol::VERSION.into() => {
                Some("the stack is newer than this program: update this program".to_owned())
            }
            Self::Version { .. } => Some("the stack is older than this program: update the stack".to_owned()),
        }
    }
}

/// Returns the name of the parameter with the configuration of this stack.
pub fn parameter(name: &str) -> String {
    format!("/bakehouse/{name}")
}

/// Reads the configuration from the environment variable.
///
/// # Errors
/// [`ConfigError`].
pub fn from_environment() -> Result<StackConfig, ConfigError> {
    let text = std::env::var(VARIABLE).map_err(|_| ConfigError::NotSet)?;
    from_text(&text, || format!("the environment variable {VARIABLE}"))
}

/// Reads the configuration from the stack's parameter.
///
/// # Errors
/// [`ConfigError`].
pub async fn from_parameter(sdk: &SdkConfig, name: &str) -> Result<StackConfig, ConfigError> {
    let Some(region) = sdk.region() else { return Err(ConfigError::NoRegion(name.to_owned())) };
    let parameter = parameter(name);
    let call = Call::new("ssm", "GetParameter", &parameter);
    let response = aws_sdk_ssm::Client::new(sdk).get_parameter().name(&parameter).send().await;
    let response = response.map_err(|error| not_read(call.failed(error), name, region.as_ref(), sdk.endpoint_url()))?;
    let text = response.parameter.and_then(|parameter| parameter.value).unwrap_or_default();
    from_text(&text, || format!("the parameter {parameter}"))
}

/// Returns why the parameter of a stack could not be read.
fn not_read(mut error: CallError, name: &str, region: &str, endpoint: Option<&str>) -> ConfigError {
    if error.fault.kind == FaultKind::NotFound {
        error.fault.message = format!("{}: there is no such parameter", error.call);
        return ConfigError::NoStack { name: name.to_owned(), region: region.to_owned(), source: Box::new(error) };
    }
    if error.is_unanswered() {
        // This is the first call: without an answer, the region or the endpoint is most likely wrong.
        let place = endpoint.map_or_else(|| format!("SSM in {region}"), |url| format!("{url} (for {region})"));
        error.fault.message = format!("{}: no answer of {place}: {error}", error.call);
        error.fault = error.fault.hint(
            "is it the right region (--region, AWS_REGION), and can this machine reach it (AWS_ENDPOINT_URL, a proxy)?",
        );
    }
    ConfigError::Unread { parameter: parameter(name), source: Box::new(error) }
}

fn from_text(text: &str, place: impl Fn() -> String) -> Result<StackConfig, ConfigError> {
    let invalid = |source| ConfigError::Invalid { place: place(), source };
    // The version first: a configuration of another version may lack fields of this one.
    let value: serde_json::Value = serde_json::from_str(text).map_err(invalid)?;
    match value.get("bakehouse").and_then(serde_json::Value::as_u64) {
        Some(is) if is != u64::from(bakehouse_protocol::VERSION) => Err(ConfigError::Version { place: place(), is }),
        _ => serde_json::from_value(value).map_err(invalid),
    }
}

#[cfg(test)]
mod tests {
    use bakehouse_protocol::Fault;

    use super::*;

    const TEXT: &str = r#"{"bakehouse":1,"name":"bakehouse","region":"us-east-1","account":"123456789012",
        "table":"bakehouse","inbox_url":"https://sqs.us-east-1.amazonaws.com/123456789012/bakehouse-inbox",
        "bucket":"bakehouse-bundles-123456789012-us-east-1","builds_log_group":"/bakehouse/bakehouse/builds",
        "host_queue_prefix":"bakehouse-host-","host_role_arn":"arn:aws:iam::123456789012:role/bakehouse-host"}"#;

    fn read(text: &str) -> Result<StackConfig, ConfigError> {
        from_text(text, || "the parameter /bakehouse/x".to_owned())
    }

    #[test]
    fn the_configuration_of_the_template_is_read() {
        let config = read(TEXT).unwrap();
        assert_eq!(config.host_silence_seconds, 240);
        assert!(!config.allow_host_access);
    }

    #[test]
    fn another_version_is_refused_before_its_fields_are_read() {
        let error = read(r#"{"bakehouse":2,"everything":"else"}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration in the parameter /bakehouse/x is of version 2, and this program knows 1"
        );
        assert_eq!(error.hint().unwrap(), "the stack is newer than this program: update this program");
    }

    fn failed(kind: FaultKind, code: &str, message: &str) -> CallError {
        let call = Call::new("ssm", "GetParameter", "/bakehouse/web");
        let fault = Fault::new(kind, format!("{call}: {message}"));
        CallError { call, code: code.to_owned(), fault, denied: false }
    }

    #[test]
    fn a_missing_stack_and_a_missing_answer_name_the_call() {
        let error = not_read(failed(FaultKind::NotFound, "ParameterNotFound", ""), "web", "eu-west-1", None);
        let ConfigError::NoStack { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(error.to_string(), "there is no stack \"web\" in eu-west-1");
        assert_eq!(source.fault.message, "GetParameter /bakehouse/web: there is no such parameter");
        assert!(error.hint().unwrap().contains("--region"));

        let line = |endpoint| {
            let error = not_read(failed(FaultKind::Ambiguous, "NoAnswer", "dns error"), "web", "eu-north-9", endpoint);
            assert!(error.hint().unwrap().contains("--region"));
            let ConfigError::Unread { source, .. } = error else { panic!("{error:?}") };
            source.fault.message
        };
        assert_eq!(line(None), "GetParameter /bakehouse/web: no answer of SSM in eu-north-9: dns error");
        assert_eq!(
            line(Some("http://localhost:1")),
            "GetParameter /bakehouse/web: no answer of http://localhost:1 (for eu-north-9): dns error"
        );
    }

    #[test]
    fn an_invalid_configuration_names_where_it_was_read() {
        let error = read(r#"{"bakehouse":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "can't read the configuration in the parameter /bakehouse/x");
    }
}
