//! The text of a manifest, byte for byte as Packer's post-processor writes it
//! (packer: post-processor/manifest/{artifact,post-processor}.go).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A manifest.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Manifest {
    #[serde(default, deserialize_with = "null_as_default")]
    builds: Vec<ManifestBuild>,
    #[serde(default)]
    last_run_uuid: String,
}

/// One build in it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ManifestBuild {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) builder_type: String,
    /// In seconds since 1970; 0: left out (`strip_time`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) build_time: i64,
    /// Of other builders; images have none.
    #[serde(default)]
    pub(super) files: serde_json::Value,
    #[serde(default)]
    pub(super) artifact_id: String,
    #[serde(default)]
    pub(super) packer_run_uuid: String,
    #[serde(default)]
    pub(super) custom_data: Option<BTreeMap<String, String>>,
}

fn is_zero(time: &i64) -> bool {
    *time == 0
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Returns the text of a manifest with one more build. `old` is what is there, perhaps nothing. With `force` builds of
/// other runs are dropped.
///
/// # Errors
/// `old` is no manifest.
pub(super) fn with_build(old: &str, build: ManifestBuild, force: bool) -> Result<String, serde_json::Error> {
    let mut manifest: Manifest = if old.is_empty() { Manifest::default() } else { serde_json::from_str(old)? };
    if force && manifest.last_run_uuid != build.packer_run_uuid {
        manifest = Manifest::default();
    }
    manifest.last_run_uuid.clone_from(&build.packer_run_uuid);
    manifest.builds.push(build);
    Ok(as_go(&serde_json::to_string_pretty(&manifest)?))
}

/// Go's encoder escapes these, which JSON has in strings only.
fn as_go(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(run: &str) -> ManifestBuild {
        ManifestBuild {
            name: "web".to_owned(),
            builder_type: "amazon-chroot".to_owned(),
            build_time: 1_795_382_528,
            files: serde_json::Value::Null,
            artifact_id: "us-east-1:ami-1,us-west-2:ami-2".to_owned(),
            packer_run_uuid: run.to_owned(),
            custom_data: None,
        }
    }

    #[test]
    fn a_new_manifest_is_as_packer_writes_it() {
        let wanted = r#"{
  "builds": [
    {
      "name": "web",
      "builder_type": "amazon-chroot",
      "build_time": 1795382528,
      "files": null,
      "artifact_id": "us-east-1:ami-1,us-west-2:ami-2",
      "packer_run_uuid": "run-1",
      "custom_data": null
    }
  ],
  "last_run_uuid": "run-1"
}"#;
        assert_eq!(with_build("", build("run-1"), false).unwrap(), wanted);
    }

    #[test]
    fn custom_data_is_sorted_and_escaped_as_go_does() {
        let custom_data = [("b", "<&>"), ("a", "\"")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let build = ManifestBuild { custom_data: Some(custom_data.into()), build_time: 0, ..build("run-1") };
        let text = with_build("", build, false).unwrap();
        assert!(
            text.contains("\"custom_data\": {\n        \"a\": \"\\\"\",\n        \"b\": \"\\u003c\\u0026\\u003e\"\n")
        );
        assert!(!text.contains("build_time"), "{text}");
    }

    #[test]
    fn builds_are_appended_to_what_is_there() {
        let files = serde_json::json!([{"name": "disk.raw", "size": 5}]);
        let first = with_build("", ManifestBuild { files, ..build("run-1") }, false).unwrap();
        let second = with_build(&first, build("run-2"), false).unwrap();
        assert_eq!(second.matches("\"name\": \"web\"").count(), 2);
        let name = second.find("\"name\": \"disk.raw\"").unwrap();
        assert!(name < second.find("\"size\": 5").unwrap() && second.ends_with("\"last_run_uuid\": \"run-2\"\n}"));
    }

    #[test]
    fn force_begins_anew_but_not_within_one_run() {
        let one = with_build("", build("run-1"), true).unwrap();
        let two = with_build(&one, build("run-2"), true).unwrap();
        assert!(!two.contains("run-1"), "{two}");
        assert_eq!(with_build(&two, build("run-2"), true).unwrap().matches("\"name\"").count(), 2);
    }

    #[test]
    fn what_is_no_manifest_is_an_error() {
        assert!(with_build("[", build("run-1"), false).is_err());
        assert!(with_build("{}", build("run-1"), false).is_ok());
        assert!(with_build(r#"{"builds": null}"#, build("run-1"), false).is_ok());
    }
}
