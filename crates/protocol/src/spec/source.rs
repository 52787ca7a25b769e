//! What the root volume is created from, and how.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::deferred::DeferredTemplate;
use crate::id::ImageId;

/// What the root volume is created from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `source_ami` and/or `source_ami_filter`: a clone of an image's root snapshot.
    Image(ImageQuery),
    /// `from_scratch`: an empty volume.
    Scratch {
        /// Its size in GiB.
        size: u32,
    },
}

/// Which source image is wanted. An id and a filter are combined into one query, as with Packer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageQuery {
    /// `source_ami`.
    pub id: Option<ImageId>,
    /// `filters` of `source_ami_filter`: EC2's filter names, each with the values of which one must match (`*` and `?`
    /// stand for any text and any one character).
    pub filters: BTreeMap<String, Vec<String>>,
    /// `owners`: account ids, `self`, `amazon`, `aws-marketplace`.
    pub owners: Vec<String>,
    /// `most_recent`: take the newest of several; without it several are an error.
    pub most_recent: bool,
    /// `include_deprecated`.
    pub include_deprecated: bool,
    /// `source_ami` as `resolve:ssm:NAME`: the parameter of this name holds the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
}

/// Options of the work volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeSpec {
    /// `root_volume_type`; absent: the source's, `gp3` from scratch.
    pub volume_type: Option<String>,
    /// `root_volume_tags` and `root_volume_tag`, in the template's order; a later one overrides an earlier one.
    pub tags: Vec<(DeferredTemplate, DeferredTemplate)>,
    /// `root_volume_encrypt_boot`; absent and false: as the source, and as [`Encryption`] asks.
    pub encrypted: Option<bool>,
    /// `root_volume_kms_key_id`.
    pub kms_key_id: Option<String>,
    /// `bakehouse_volume_initialization_rate`, MiB/s: how fast EBS loads the source's snapshot.
    pub initialization_rate: Option<u32>,
    /// `bakehouse_volume_throughput`, MiB/s, of a gp3 volume.
    pub throughput: Option<u32>,
}
