//! Renders text of the template that could not be rendered before the job (`{{.Device}}` and the like).

use std::collections::BTreeMap;

use bakehouse_gotemplate::{Value, deferred};
use bakehouse_protocol::{DeferredTemplate, RunData, Timestamp};

use crate::error::JobError;

/// The values that such text can refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct TemplateData(BTreeMap<String, Value>);

impl TemplateData {
    /// Adds a string.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Value::String(value.into()));
        self
    }

    /// Returns the values for steps.
    pub(crate) fn from_run_data(run: &RunData) -> Self {
        let tags = run.source_ami_tags.iter();
        let tags = tags.map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
        let id = |id: Option<&str>| id.unwrap_or_default().to_owned();
        let mut data = Self::default()
            .with("BuildName", &run.build_name)
            .with("BuildRegion", id(run.build_region.as_ref().map(|region| region.as_str())))
            .with("SourceAMI", id(run.source_ami.as_ref().map(|image| image.as_str())))
            .with("SourceAMIName", &run.source_ami_name)
            .with("SourceAMICreationDate", &run.source_ami_creation_date)
            .with("SourceAMIOwner", &run.source_ami_owner)
            .with("SourceAMIOwnerName", &run.source_ami_owner_name);
        data.0.insert("SourceAMITags".to_owned(), Value::Map(tags));
        data
    }

    /// Renders a text.
    pub(crate) fn render(&self, text: &DeferredTemplate, now: Timestamp) -> Result<String, JobError> {
        deferred::render(&text.0, &self.0, now.0)
            .map_err(|error| JobError::other(format!("rendering \"{}\"", text.0), error))
    }
}
