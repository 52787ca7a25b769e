//! What follows a successful build: the post-processors of the template.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{deferred::DeferredTemplate, step::ShellLocal};

/// What follows a successful build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostProcessor {
    /// `name`, or its type.
    pub name: String,
    /// `keep_input_artifact`; absent: the type's default.
    pub keep_input_artifact: Option<bool>,
    /// What to do.
    pub action: PostAction,
}

/// What a post-processor does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostAction {
    /// `manifest`: writes the images' ids to a file.
    Manifest {
        /// `output`, an absolute path.
        output: String,
        /// `strip_time`.
        strip_time: bool,
        /// `custom_data`, in the template's order; may use the fields of [`crate::RunData`].
        custom_data: Vec<(String, DeferredTemplate)>,
    },
    /// `checksum`: an image has no files, so it writes nothing.
    Checksum,
    /// `shell-local`.
    ShellLocal(ShellLocal),
}
