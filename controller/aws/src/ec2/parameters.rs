//! Parameter Store through the SDK.

use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use bakehouse_aws::{
    Limits,
    sdk_error::{Endpoint, api_error},
};
use bakehouse_controller::ports::Parameters;
use bakehouse_ec2::{ApiError, faults::fault_of};
use bakehouse_protocol::{Fault, FaultKind, Region};

/// Parameter Store, as far as templates use it.
#[derive(Debug)]
pub struct SsmParameters {
    config: SdkConfig,
    limits: Limits,
}

impl SsmParameters {
    /// Returns Parameter Store with these credentials and settings.
    pub fn new(config: SdkConfig, limits: Limits) -> Self {
        Self { config, limits }
    }

    /// Returns a new client: one parameter is read for each build, so none is kept.
    fn client(&self, region: &Region) -> Client {
        let config = aws_sdk_ssm::config::Builder::from(&self.config)
            .region(aws_sdk_ssm::config::Region::new(region.to_string()))
            .timeout_config(self.limits.timeouts())
            .retry_config(self.limits.retries());
        Client::from_conf(config.build())
    }
}

impl Parameters for SsmParameters {
    async fn parameter(&self, region: &Region, name: &str) -> Result<String, Fault> {
        // Not decrypted: an image id is not secret, and the role needs no rights to a key.
        let response = self.client(region).get_parameter().name(name).with_decryption(false).send().await;
        let value = match response {
            Ok(response) => response.parameter.and_then(|parameter| parameter.value),
            Err(error) => return Err(parameter_fault(region, name, self.config.endpoint_url(), api_error(error))),
        };
        value.ok_or_else(|| {
            let message = "Parameter Store returned no value";
            fault_of("ssm", &format!("GetParameter {name}"), ApiError::NOT_UNDERSTOOD, message)
        })
    }
}

fn parameter_fault(region: &Region, name: &str, endpoint: Option<&str>, error: ApiError) -> Fault {
    let error = Endpoint { service: "ssm", region: region.as_str(), url: endpoint }.add_to(error);
    match error.code.as_ref() {
        "ParameterNotFound" | "ParameterVersionNotFound" => {
            Fault::new(FaultKind::Permanent, format!("GetParameter {name}: there is no such parameter in {region}"))
                .hint("its name begins with a slash, and each region has parameters of its own")
        }
        code => fault_of("ssm", &format!("GetParameter {name}"), code, &error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &'static str, message: &str) -> Fault {
        parameter_fault(&Region::new("us-east-1").unwrap(), "/base", None, ApiError::new(code, message))
    }

    #[test]
    fn a_missing_parameter_is_a_permanent_fault_with_a_hint() {
        let fault = read("ParameterNotFound", "");
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert_eq!(fault.message, "GetParameter /base: there is no such parameter in us-east-1");
        assert!(fault.hint.unwrap().contains("slash"));
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
