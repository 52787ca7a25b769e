//! What the embedded cloud answers to templates: its images.

use std::{fmt, sync::OnceLock};

use bakehouse_controller::backend::Backend;
use bakehouse_protocol::spec::ImageQuery;
use bakehouse_runner::LocalRunner;
use bakehouse_template::{External, ImageData, ParameterData, Place, SecretData, SecretVersion};

use super::images;
use crate::report::CliError;

/// The embedded cloud in place of AWS. It is opened, and its directory made, only if a template asks.
pub(crate) struct LocalValues {
    open: Box<dyn Fn() -> Result<LocalRunner, CliError> + Send + Sync>,
    opened: OnceLock<Result<LocalRunner, String>>,
}

impl LocalValues {
    /// Returns the embedded cloud that this opens.
    pub(crate) fn new(open: impl Fn() -> Result<LocalRunner, CliError> + Send + Sync + 'static) -> Self {
        Self { open: Box::new(open), opened: OnceLock::new() }
    }
}

impl fmt::Debug for LocalValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalValues")
    }
}

fn none<T>(what: &str) -> Result<T, String> {
    Err(format!("the embedded cloud has no {what}: with --local, give the value with -var"))
}

impl External for LocalValues {
    fn secret(&self, _: &str) -> Result<String, String> {
        none("Secrets Manager")
    }

    fn image(&self, query: &ImageQuery, place: &Place) -> Result<ImageData, String> {
        let open = || (self.open)().map_err(|error| error.render());
        let runner = self.opened.get_or_init(open).as_ref().map_err(Clone::clone)?;
        let region = place.region.as_ref().unwrap_or(runner.region());
        pollster::block_on(images::find(Backend::cloud(runner), region, query))
    }

    fn parameter(&self, _: &str, _: bool, _: &Place) -> Result<ParameterData, String> {
        none("Parameter Store")
    }

    fn secret_version(&self, _: &str, _: &SecretVersion, _: &Place) -> Result<SecretData, String> {
        none("Secrets Manager")
    }
}
