//! The power state of a host on demand.

use bakehouse_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// The power state of a host. Hosts that are not on demand are always `On`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// It is up, as far as known.
    #[default]
    On,
    /// It has been stopping since then.
    Stopping(
        /// By the controller's clock.
        Timestamp,
    ),
    /// It has stopped.
    Stopped(
        /// By EC2's clock, or the controller's.
        Timestamp,
    ),
    /// It has been starting since then; its agent has not reported yet.
    Starting(
        /// By the controller's clock.
        Timestamp,
    ),
}

impl Power {
    /// Returns the state's name for output. `None`: it is up.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::On => None,
            Self::Stopping(_) => Some("stopping"),
            Self::Stopped(_) => Some("stopped"),
            Self::Starting(_) => Some("starting"),
        }
    }

    /// Whether a report of this time shows that the host is up again.
    pub fn is_ended_by_report(self, at: Timestamp) -> bool {
        // While it stops, its agent may still report.
        matches!(self, Self::Stopped(since) | Self::Starting(since) if since < at)
    }
}
