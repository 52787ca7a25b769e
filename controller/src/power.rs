//! Whether a host on demand is up.

use bakehouse_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether a host is up. Hosts that are not on demand always count as up: silence says more of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// It is up, as far as anybody has said.
    #[default]
    On,
    /// It is to stop, since then.
    Stopping(
        /// By the controller's clock.
        Timestamp,
    ),
    /// It has stopped.
    Stopped(
        /// By EC2's clock, or the controller's.
        Timestamp,
    ),
    /// It is to start, since then; its agent has not been heard of.
    Starting(
        /// By the controller's clock.
        Timestamp,
    ),
}

impl Power {
    /// The state in one word, as it is shown to people. `None`: it is up.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::On => None,
            Self::Stopping(_) => Some("stopping"),
            Self::Stopped(_) => Some("stopped"),
            Self::Starting(_) => Some("starting"),
        }
    }

    /// Whether the host's word of this moment says that it is up again.
    pub fn ended_by(self, word: Timestamp) -> bool {
        // While it is going down it may still speak.
        matches!(self, Self::Stopped(since) | Self::Starting(since) if since < word)
    }
}
