//! Protection of images from being deregistered.

use bakehouse_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether an image is protected from being deregistered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protection {
    /// It is not.
    #[default]
    Off,
    /// Until it is disabled.
    On,
    /// Until it is disabled, and a day longer.
    WithCooldown,
    /// Until then.
    Until(Timestamp),
}

impl Protection {
    /// EC2's name of it; of the last one it has not documented any.
    pub(super) fn describe(self, now: Timestamp) -> &'static str {
        match self {
            Self::Until(at) if at > now => "disabled-in-cooldown",
            Self::Off | Self::Until(_) => "disabled",
            Self::On => "enabled-without-cooldown",
            Self::WithCooldown => "enabled-with-cooldown",
        }
    }

    pub(super) fn protects(self, now: Timestamp) -> bool {
        self.describe(now) != "disabled"
    }
}
