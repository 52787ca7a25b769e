//! Renders text of the template that could not be rendered before the job (`{{.Device}}` and the like).

use std::collections::BTreeMap;

use bakehouse_gotemplate::{Value, deferred};
use bakehouse_protocol::{DeferredTemplate, RunData, Timestamp};

use crate::error::JobError;

/// Returns the fields of a build's run data by their names in templates (`BuildName`, `SourceAMITags`, …). What is not
/// known is an empty string.
pub fn run_data_fields(run: &RunData) -> BTreeMap<String, Value> {
    let text = |value: &str| Value::String(value.to_owned());
    let tags = run.source_ami_tags.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let fields = [
        ("BuildName", text(&run.build_name)),
        ("BuildRegion", text(run.build_region.as_ref().map_or("", |region| region.as_str()))),
        ("SourceAMI", text(run.source_ami.as_ref().map_or("", |image| image.as_str()))),
        ("SourceAMIName", text(&run.source_ami_name)),
        ("SourceAMICreationDate", text(&run.source_ami_creation_date)),
        ("SourceAMIOwner", text(&run.source_ami_owner)),
        ("SourceAMIOwnerName", text(&run.source_ami_owner_name)),
        ("SourceAMITags", Value::Map(tags)),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The values that such text can refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct TemplateData(BTreeMap<String, Value>);

impl TemplateData {
    /// Adds a string.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Value::String(value.into()));
        self
    }

    /// Returns the values of a build.
    pub(crate) fn from_run_data(run: &RunData) -> Self {
        Self(run_data_fields(run))
    }

    /// Renders a text.
    pub(crate) fn render(&self, text: &DeferredTemplate, now: Timestamp) -> Result<String, JobError> {
        deferred::render(&text.0, &self.0, now.0)
            .map_err(|error| JobError::other(format!("rendering \"{}\"", text.0), error))
    }

    /// Renders texts.
    pub(crate) fn render_all(&self, texts: &[DeferredTemplate], now: Timestamp) -> Result<Vec<String>, JobError> {
        texts.iter().map(|text| self.render(text, now)).collect()
    }

    /// Renders the values of variables.
    pub(crate) fn render_variables(
        &self,
        variables: &[(String, DeferredTemplate)],
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, JobError> {
        variables.iter().map(|(name, value)| Ok((name.clone(), self.render(value, now)?))).collect()
    }
}
