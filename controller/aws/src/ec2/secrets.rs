//! Values that templates take from AWS: secrets of Secrets Manager, parameters of Systems Manager.

use aws_sdk_secretsmanager::Client as Secrets;
use aws_sdk_ssm::Client as Ssm;
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::ApiError;
use bakehouse_protocol::Fault;

use super::{
    connect::Connection,
    parameters::{NO_VALUE, call_fault},
};

/// A version of a secret: its text, or its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue {
    /// Its text, if it is one.
    pub string: Option<String>,
    /// Its bytes, if it is not a text.
    pub binary: Option<Vec<u8>>,
    /// The version.
    pub version_id: String,
}

/// A parameter with what is known about it.
#[derive(Clone, PartialEq, Eq)]
pub struct ParameterDetails {
    /// Its value.
    pub value: String,
    /// The number of its version.
    pub version: i64,
    /// Its ARN.
    pub arn: String,
}

impl Connection {
    /// Returns a version of a secret: the one of this id, else the one of this stage, else the current one.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn secret(&self, name: &str, id: Option<&str>, stage: Option<&str>) -> Result<SecretValue, Fault> {
        let mut request = Secrets::new(&self.config).get_secret_value().secret_id(name);
        request = match (id, stage) {
            (Some(id), _) => request.version_id(id),
            (None, Some(stage)) => request.version_stage(stage),
            (None, None) => request,
        };
        let answer = request.send().await.map_err(|error| {
            call_fault(&self.config, ("secretsmanager", &self.region), "GetSecretValue", name, api_error(error))
        })?;
        Ok(SecretValue {
            string: answer.secret_string,
            binary: answer.secret_binary.map(|bytes| bytes.into_inner()),
            version_id: answer.version_id.unwrap_or_default(),
        })
    }

    /// Returns a parameter, decrypted if asked.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn parameter_details(&self, name: &str, with_decryption: bool) -> Result<ParameterDetails, Fault> {
        let failed = |error| call_fault(&self.config, ("ssm", &self.region), "GetParameter", name, error);
        let request = Ssm::new(&self.config).get_parameter().name(name).with_decryption(with_decryption);
        let answer = request.send().await.map_err(|error| failed(api_error(error)))?;
        let found = answer.parameter.and_then(|parameter| {
            let version = parameter.version;
            Some(ParameterDetails { value: parameter.value?, version, arn: parameter.arn.unwrap_or_default() })
        });
        found.ok_or_else(|| failed(ApiError::new(ApiError::NOT_UNDERSTOOD, NO_VALUE)))
    }
}
