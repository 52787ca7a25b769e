//! How often and how long the build looks at what EC2 is doing.

use serde::{Deserialize, Serialize};

/// `aws_polling`; absent values are our own defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Polling {
    /// `delay_seconds`: how long to wait between two looks.
    pub delay_seconds: Option<u32>,
    /// `max_attempts`: how many times to look before the build fails.
    pub max_attempts: Option<u32>,
}

impl Polling {
    /// Whether nothing is set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
