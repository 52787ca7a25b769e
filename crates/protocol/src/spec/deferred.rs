//! A template that is rendered while the build runs.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A template that is rendered while the build runs, because it uses what is known only then (`{{.Device}}`). It has
/// been parsed once and uses only fields and functions that are known in its option.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeferredTemplate(pub String);
