//! How long changes of state take.

use bakehouse_protocol::Millis;
use serde::{Deserialize, Serialize};

/// How long each change of state takes. No time by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delays {
    /// A volume: `creating` to `available`.
    pub create_volume: Millis,
    /// An attachment: `attaching` to `attached`.
    pub attach: Millis,
    /// An attachment: `detaching` to detached.
    pub detach: Millis,
    /// How long a device name is taken after its volume is detached.
    pub device_release: Millis,
    /// A volume: `deleting` to deleted.
    pub delete_volume: Millis,
    /// A snapshot: `pending` to `completed`.
    pub create_snapshot: Millis,
    /// The least time between two snapshots of one volume.
    pub snapshot_interval: Millis,
    /// An image: `pending` to `available`.
    pub register_image: Millis,
    /// A copied image and its snapshots: `pending` to `available`.
    pub copy_image: Millis,
    /// How long an image's name is taken after it is deregistered.
    pub name_release: Millis,
    /// An instance: `pending` to `running`.
    pub start_instance: Millis,
    /// An instance: `stopping` to `stopped`.
    pub stop_instance: Millis,
    /// How long describe calls do not show a new resource.
    pub consistency_lag: Millis,
}

impl Delays {
    /// Approximately those of EC2 for a small disk. Its documented times (15 s between snapshots of a volume) are
    /// exact.
    pub const fn like_ec2() -> Self {
        Self {
            create_volume: Millis::seconds(3),
            attach: Millis::seconds(4),
            detach: Millis::seconds(5),
            device_release: Millis::seconds(7),
            delete_volume: Millis::seconds(20),
            create_snapshot: Millis::minutes(3),
            snapshot_interval: Millis::seconds(15),
            register_image: Millis::seconds(30),
            copy_image: Millis::minutes(6),
            name_release: Millis::seconds(10),
            start_instance: Millis::seconds(15),
            stop_instance: Millis::seconds(40),
            consistency_lag: Millis::seconds(2),
        }
    }
}
