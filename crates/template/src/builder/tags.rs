//! Tags: `tags` and `tag`, and the like of snapshots and of the work volume.

use bakehouse_protocol::DeferredTemplate;

use super::rules::{Rules, constant};
use crate::tree::Located;

/// EC2's limit for the number of tags, 50, less those by which a build's resources are found.
const MAX_TAGS: usize = 46;
/// EC2's limits for a tag's key and value, in characters.
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;

type Tag<T> = (T, T);

impl Rules<'_> {
    /// Returns the tags of an object, `map`, followed by those of blocks with one tag each, which override.
    pub(super) fn tags(&self, map: &str, blocks: &str) -> Vec<Tag<DeferredTemplate>> {
        let mut tags = self.values.deferred_map(map).unwrap_or_default();
        for block in self.values.block_list(blocks).unwrap_or_default() {
            let key = block.deferred("key").filter(|key| !key.value.0.is_empty());
            if key.is_none() && !block.is_invalid("key") {
                self.error(&block.anchor, "this tag has no key", "Write \"key\": \"…\" and \"value\": \"…\".");
            }
            let value = block.deferred("value");
            if value.is_none() && !block.is_invalid("value") {
                self.error(&block.anchor, "this tag has no value", "Write \"key\": \"…\" and \"value\": \"…\".");
            }
            if let (Some(key), Some(value)) = (key, value) {
                tags.retain(|(earlier, _)| earlier.value != key.value);
                tags.push((key, value));
            }
        }
        self.check_tags(&tags);
        tags.into_iter().map(|(key, value)| (key.value, value.value)).collect()
    }

    fn check_tags(&self, tags: &[Tag<Located<DeferredTemplate>>]) {
        if let Some((key, _)) = tags.get(MAX_TAGS) {
            let message = format!("there are {} tags", tags.len());
            self.error(&key.location, message, format!("At most {MAX_TAGS}: EC2 allows 50, and the build adds 4."));
        }
        for (key, value) in tags {
            if let Some(text) = constant(&key.value) {
                if text.is_empty() || text.chars().count() > MAX_TAG_KEY {
                    let message = "the key of a tag is empty or too long";
                    self.error(&key.location, message, format!("EC2 allows 1 to {MAX_TAG_KEY} characters."));
                } else if text.to_ascii_lowercase().starts_with("aws:") {
                    let message = format!("the key of a tag cannot start with aws: (\"{text}\")");
                    self.error(&key.location, message, "Such keys are reserved for AWS. Choose another.");
                }
            }
            if constant(&value.value).is_some_and(|text| text.chars().count() > MAX_TAG_VALUE) {
                let message = "the value of a tag is too long";
                self.error(&value.location, message, format!("EC2 allows at most {MAX_TAG_VALUE} characters."));
            }
        }
    }
}
