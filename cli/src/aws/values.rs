//! Values that templates take from AWS: images, parameters and secrets. Asked with the credentials that a build would
//! use, only if a template names one.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bakehouse_controller::cloud::Cloud;
use bakehouse_controller_aws::ec2::Connection;
use bakehouse_protocol::spec::ImageQuery;
use bakehouse_template::{External, ImageData, ParameterData, Place, SecretData, SecretVersion};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::runtime::Runtime;

use super::{access, runtime};
use crate::external::images::{self, with_hint};

/// AWS, asked from this machine. Connects once to each place: a code of an MFA device is valid once, and Vault issues
/// new keys each time.
#[derive(Default)]
pub(crate) struct AwsValues {
    runtime: OnceLock<Result<Runtime, String>>,
    connections: Mutex<Vec<(Place, Arc<Connection>)>>,
}

impl fmt::Debug for AwsValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsValues")
    }
}

impl AwsValues {
    fn runtime(&self) -> Result<&Runtime, String> {
        let start = || runtime::current_thread().map_err(|error| error.render());
        self.runtime.get_or_init(start).as_ref().map_err(Clone::clone)
    }

    fn connect(&self, place: &Place) -> Result<Arc<Connection>, String> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connection)) = connections.iter().find(|(known, _)| known == place) {
            return Ok(connection.clone());
        }
        let connection = access::open(self.runtime()?, &place.access, place.region.as_ref());
        let connection = Arc::new(connection.map_err(|error| error.render())?);
        connections.push((place.clone(), connection.clone()));
        Ok(connection)
    }
}

impl External for AwsValues {
    fn secret(&self, name: &str) -> Result<String, String> {
        let connection = self.connect(&Place::default())?;
        let secret = self.runtime()?.block_on(connection.secret(name, None, None)).map_err(with_hint)?;
        secret.string.ok_or_else(|| format!("the secret {name} is binary, not a text"))
    }

    fn image(&self, query: &ImageQuery, place: &Place) -> Result<ImageData, String> {
        let connection = self.connect(place)?;
        let cloud = Cloud(connection.ec2(), connection.parameters());
        self.runtime()?.block_on(images::find(&cloud, &connection.region, query))
    }

    fn parameter(&self, name: &str, with_decryption: bool, place: &Place) -> Result<ParameterData, String> {
        let connection = self.connect(place)?;
        let found = self.runtime()?.block_on(connection.parameter_details(name, with_decryption)).map_err(with_hint)?;
        Ok(ParameterData { value: found.value, version: found.version.to_string(), arn: found.arn })
    }

    fn secret_version(&self, name: &str, version: &SecretVersion, place: &Place) -> Result<SecretData, String> {
        let connection = self.connect(place)?;
        let (id, stage) = match version {
            SecretVersion::Id(id) => (Some(id.as_str()), None),
            SecretVersion::Stage(stage) => (None, Some(stage.as_str())),
        };
        let found = self.runtime()?.block_on(connection.secret(name, id, stage)).map_err(with_hint)?;
        let binary = found.binary.map(|bytes| BASE64_STANDARD.encode(&bytes)).unwrap_or_default();
        Ok(SecretData { string: found.string.unwrap_or_default(), binary, version_id: found.version_id })
    }
}
