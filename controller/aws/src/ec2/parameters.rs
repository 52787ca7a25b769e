//! Parameter Store through the SDK.

use aws_config::SdkConfig;
use aws_sdk_ssm::{Client, types::ParameterType};
use bakehouse_aws::{
    Limits,
    sdk_error::{Endpoint, api_error},
};
use bakehouse_controller::ports::Parameters;
use bakehouse_ec2::{ApiError, faults::fault_of};
use bakehouse_protocol::{Fault, ImageId, Region};

/// Parameter Store and KMS, as far as templates use them.
#[derive(Debug)]
pub struct SsmParameters {
    pub(super) config: SdkConfig,
    pub(super) limits: Limits,
}

impl SsmParameters {
    /// Returns Parameter Store with these credentials and settings.
    pub fn new(config: SdkConfig, limits: Limits) -> Self {
        Self { config, limits }
    }

    /// Returns a new client: few parameters are used by each build, so none is kept.
    fn client(&self, region: &Region) -> Client {
        let config = aws_sdk_ssm::config::Builder::from(&self.config)
            .region(aws_sdk_ssm::config::Region::new(region.to_string()))
            .timeout_config(self.limits.timeouts())
            .retry_config(self.limits.retries());
        Client::from_conf(config.build())
    }
}

impl SsmParameters {
    fn fault(&self, region: &Region, call: &str, name: &str, error: ApiError) -> Fault {
        call_fault(&self.config, ("ssm", region), call, name, error)
    }
}

/// What is said of an answer without a value.
pub(super) const NO_VALUE: &str = "Parameter Store returned no value";

/// Returns the fault of a call about something of this name. An error of the connection names the service's address.
pub(super) fn call_fault(
    config: &SdkConfig,
    (service, region): (&'static str, &Region),
    call: &str,
    name: &str,
    error: ApiError,
) -> Fault {
    let error = Endpoint { service, region: region.as_str(), url: config.endpoint_url() }.add_to(error);
    fault_of(service, &format!("{call} {name}"), &error.code, &error.message)
}

impl Parameters for SsmParameters {
    async fn find_parameter(&self, region: &Region, name: &str) -> Result<Option<String>, Fault> {
        // Not decrypted: an image id is not secret, and the role needs no rights to a key.
        match self.client(region).get_parameter().name(name).with_decryption(false).send().await.map_err(api_error) {
            Ok(response) => match response.parameter.and_then(|parameter| parameter.value) {
                Some(value) => Ok(Some(value)),
                None => {
                    let error = ApiError::new(ApiError::NOT_UNDERSTOOD, NO_VALUE);
                    Err(self.fault(region, "GetParameter", name, error))
                }
            },
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.fault(region, "GetParameter", name, error)),
        }
    }

    async fn put_image(&self, region: &Region, name: &str, image: &str) -> Result<(), Fault> {
        // A former value that is put back may be any text.
        let data_type = if ImageId::new(image).is_ok() { "aws:ec2:image" } else { "text" };
        let call = self.client(region).put_parameter().name(name).value(image).overwrite(true);
        let call = call.r#type(ParameterType::String).data_type(data_type);
        call.send().await.map(drop).map_err(|error| self.fault(region, "PutParameter", name, api_error(error)))
    }

    async fn delete_parameter(&self, region: &Region, name: &str) -> Result<(), Fault> {
        let result = self.client(region).delete_parameter().name(name).send().await;
        result.map(drop).map_err(|error| self.fault(region, "DeleteParameter", name, api_error(error)))
    }
}

fn is_missing(error: &ApiError) -> bool {
    matches!(error.code.as_ref(), "ParameterNotFound" | "ParameterVersionNotFound")
}

#[cfg(test)]
mod tests {
    use bakehouse_protocol::FaultKind;

    use super::*;

    fn read(code: &'static str, message: &str) -> Fault {
        let config = SdkConfig::builder().build();
        let parameters = SsmParameters::new(config, Limits::default());
        let region = Region::new("us-east-1").unwrap();
        parameters.fault(&region, "GetParameter", "/base", ApiError::new(code, message.to_owned()))
    }

    #[test]
    fn a_missing_parameter_is_no_fault() {
        assert!(is_missing(&ApiError::new("ParameterNotFound", "")));
        assert!(is_missing(&ApiError::new("ParameterVersionNotFound", "")));
        assert!(!is_missing(&ApiError::new("ThrottlingException", "")));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let message = "User: arn:aws:iam::111122223333:user/mo is not authorized to perform: ssm:GetParameter on resource: \
                       arn:aws:ssm:us-east-1:111122223333:parameter/base because no identity-based policy allows the \
                       ssm:GetParameter action";
        let fault = read("AccessDeniedException", message);
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert!(
            fault.message.contains("the permission ssm:GetParameter is missing on arn:aws:ssm:us-east-1:"),
            "{fault}"
        );
    }

    #[test]
    fn throttling_and_server_errors_are_not_permanent() {
        assert_eq!(read("ThrottlingException", "Rate exceeded").kind, FaultKind::Throttled);
        assert_eq!(read("InternalServerError", "").kind, FaultKind::Ambiguous);
    }
}
