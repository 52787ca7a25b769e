//! The values of a request as text: one line for each.

use bakehouse_ec2::ApiError;
use serde::Serialize;
use serde_json::Value;

/// Returns the parameters of a request that are sent, by EC2's names: `BlockDeviceMappings.1.Ebs.VolumeSize`. Lists
/// are counted from 1; what is absent or empty is left out.
///
/// # Errors
/// `InternalError`, which can't happen: every request has a form in JSON.
pub(super) fn parameters(request: &impl Serialize) -> Result<Vec<(String, String)>, ApiError> {
    let value = serde_json::to_value(request)
        .map_err(|error| ApiError::new("InternalError", format!("writing a request as JSON: {error}")))?;
    let mut found = Vec::new();
    collect("", &value, &mut found);
    Ok(found)
}

fn collect(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::Object(members) => {
            // The keys of tags and of other maps are values, not names.
            let is_map = path.rsplit('.').next().is_some_and(|name| name.ends_with("Tags"));
            for (name, value) in members {
                collect(&below(&if is_map { name.clone() } else { pascal_case(name) }), value, found);
            }
        }
        Value::Array(elements) => {
            for (number, element) in (1..).zip(elements) {
                collect(&below(&format!("{number}")), element, found);
            }
        }
        // Fields that are only sent if they are true.
        Value::Bool(false)
            if ["CopyImageTags", "DeleteAssociatedSnapshots", "NoDevice"].iter().any(|name| path.ends_with(name)) => {}
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => found.push((path.to_owned(), value.to_string())),
    }
}

/// Returns EC2's spelling of a field: `snapshot_id` is `SnapshotId`.
fn pascal_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    name.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_listed_by_ec2s_names() {
        let request = serde_json::json!({
            "name": "web", "description": null, "ena_support": true, "tags": {"Some_key": "x", "empty": ""},
            "block_device_mappings": [{"device_name": "/dev/sda1", "ebs": {"volume_size": 8}}], "users": [],
        });
        let pairs = parameters(&request).unwrap();
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            pairs,
            [
                "BlockDeviceMappings.1.DeviceName=/dev/sda1",
                "BlockDeviceMappings.1.Ebs.VolumeSize=8",
                "EnaSupport=true",
                "Name=web",
                "Tags.Some_key=x"
            ]
        );
    }
}
