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
    let base = device.rsplit('/').next().unwrap_or_default();
    let device_only = BTreeMap::from([("Device".to_owned(), text(base))]);
    let mount_path = deferred::render(&mount_path.0, &device_only, now.0).unwrap_or_default();
    let mut fields = bakehouse_agent::run_data_fields(run);
    fields.extend([("Device".to_owned(), text(device)), ("MountPath".to_owned(), text(&mount_path))]);
    fields
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
