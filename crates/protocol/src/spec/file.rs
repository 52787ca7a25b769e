//! A file of the build host that a template names.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A file that the template names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The path as the template has it, for messages. A trailing `/` means the content of a directory.
    pub written: String,
    /// The path on the host: absolute, or relative to [`crate::Job::files`].
    pub path: String,
}
