//! Values that templates take from AWS: images, parameters and secrets. Asked with the credentials that a build would
//! use, only if a template names one.

use std::fmt;

use bakehouse_controller::cloud::Cloud;
use bakehouse_controller_aws::ec2::Connection;
use bakehouse_protocol::{Access, Fault, spec::ImageQuery};
use bakehouse_template::{External, ImageData, ParameterData, Place, SecretData, SecretVersion};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::runtime::{Builder, Runtime};

use super::access;
use crate::external::images;

/// AWS, asked from this machine.
pub(crate) struct AwsValues(Runtime);

impl fmt::Debug for AwsValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsValues")
    }
}

impl AwsValues {
    /// Returns AWS, to be asked through the SDK.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(Builder::new_current_thread().enable_all().build()?))
    }

    fn connect(&self, place: &Place) -> Result<Connection, String> {
        access::open(&self.0, &place.access, place.region.as_ref()).map_err(|error| error.render())
    }
}

fn text(fault: Fault) -> String {
    match fault.hint {
        Some(hint) => format!("{} ({hint})", fault.message),
        None => fault.message,
    }
}

impl External for AwsValues {
    fn secret(&self, name: &str) -> Result<String, String> {
        let connection = self.connect(&Place { region: None, access: Access::default() })?;
        let secret = self.0.block_on(connection.secret(name, None, None)).map_err(text)?;
        secret.string.ok_or_else(|| format!("the secret {name} is binary, not a text"))
    }

    fn vault(&self, _: &str, _: &str) -> Result<String, String> {
        Err("Vault is not a service of AWS".to_owned())
    }

    fn consul_key(&self, _: &str) -> Result<String, String> {
        Err("Consul is not a service of AWS".to_owned())
    }

    fn image(&self, query: &ImageQuery, place: &Place) -> Result<ImageData, String> {
        let connection = self.connect(place)?;
        self.0.block_on(images::find(&Cloud(connection.ec2(), connection.parameters()), &connection.region, query))
    }

    fn parameter(&self, name: &str, with_decryption: bool, place: &Place) -> Result<ParameterData, String> {
        let connection = self.connect(place)?;
        let found = self.0.block_on(connection.parameter_details(name, with_decryption)).map_err(text)?;
        Ok(ParameterData { value: found.value, version: found.version.to_string(), arn: found.arn })
    }

    fn secret_version(&self, name: &str, version: &SecretVersion, place: &Place) -> Result<SecretData, String> {
        let connection = self.connect(place)?;
        let (id, stage) = match version {
            SecretVersion::Id(id) => (Some(id.as_str()), None),
            SecretVersion::Stage(stage) => (None, Some(stage.as_str())),
        };
        let found = self.0.block_on(connection.secret(name, id, stage)).map_err(text)?;
        let binary = found.binary.map(|bytes| BASE64_STANDARD.encode(&bytes)).unwrap_or_default();
        Ok(SecretData { string: found.string.unwrap_or_default(), binary, version_id: found.version_id })
    }
}
