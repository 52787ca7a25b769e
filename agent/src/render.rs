//! The fields that deferred templates (`{{.Device}}`) may use.

use std::collections::BTreeMap;

use bakehouse_gotemplate::{Value, deferred};
use bakehouse_protocol::{DeferredTemplate, RunData, Timestamp};

use crate::error::JobError;

/// The data of a deferred template.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, Value>);

impl Fields {
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Value::String(value.into()));
        self
    }

    /// What provisioners may speak of.
    pub(crate) fn of_run(data: &RunData) -> Self {
        let tags = data.source_ami_tags.iter();
        let tags = tags.map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
        let id = |id: Option<&str>| id.unwrap_or_default().to_owned();
        let mut fields = Self::default()
            .with("BuildName", &data.build_name)
            .with("BuildRegion", id(data.build_region.as_ref().map(|region| region.as_str())))
            .with("SourceAMI", id(data.source_ami.as_ref().map(|image| image.as_str())))
            .with("SourceAMIName", &data.source_ami_name)
            .with("SourceAMICreationDate", &data.source_ami_creation_date)
            .with("SourceAMIOwner", &data.source_ami_owner)
            .with("SourceAMIOwnerName", &data.source_ami_owner_name);
        fields.0.insert("SourceAMITags".to_owned(), Value::Map(tags));
        fields
    }

    pub(crate) fn render(&self, text: &DeferredTemplate, now: Timestamp) -> Result<String, JobError> {
        deferred::render(&text.0, &self.0, now.0)
            .map_err(|error| JobError::other(format!("rendering \"{}\"", text.0), error))
    }
}
