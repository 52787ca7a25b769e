//! The fields that the texts of post-processors may use: the keys of the function `build`.

use std::collections::BTreeMap;

use bakehouse_gotemplate::{Value, deferred};
use bakehouse_protocol::{DeferredTemplate, RunData, Timestamp};

use super::error::PostError;

/// The values of the fields.
pub(crate) type Fields = BTreeMap<String, Value>;

/// Returns the fields of a build. `device` is the device name that the volume had, as `/dev/sdf`.
pub(crate) fn fields(run: &RunData, device: &str, mount_path: &DeferredTemplate, now: Timestamp) -> Fields {
    let text = |value: &str| Value::String(value.to_owned());
    let id = |id: Option<&str>| text(id.unwrap_or_default());
    let tags = run.source_ami_tags.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let base = device.rsplit('/').next().unwrap_or_default();
    let device_only = BTreeMap::from([("Device".to_owned(), text(base))]);
    let mount_path = deferred::render(&mount_path.0, &device_only, now.0).unwrap_or_default();
    let fields = [
        ("BuildName", text(&run.build_name)),
        ("BuildRegion", id(run.build_region.as_ref().map(|region| region.as_str()))),
        ("SourceAMI", id(run.source_ami.as_ref().map(|image| image.as_str()))),
        ("SourceAMIName", text(&run.source_ami_name)),
        ("SourceAMICreationDate", text(&run.source_ami_creation_date)),
        ("SourceAMIOwner", text(&run.source_ami_owner)),
        ("SourceAMIOwnerName", text(&run.source_ami_owner_name)),
        ("SourceAMITags", Value::Map(tags)),
        ("Device", text(device)),
        ("MountPath", text(&mount_path)),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Renders the text of an option.
pub(super) fn render(
    what: &str,
    text: &DeferredTemplate,
    fields: &Fields,
    now: Timestamp,
) -> Result<String, PostError> {
    let failed = |error: &dyn std::error::Error| PostError::Render {
        what: what.to_owned(),
        message: bakehouse_protocol::chain(error),
    };
    deferred::render(&text.0, fields, now.0).map_err(|error| failed(&error))
}
