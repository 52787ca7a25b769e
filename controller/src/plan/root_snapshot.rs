//! The snapshot of a source's root device.

use bakehouse_protocol::SnapshotId;

/// The snapshot of a source's root device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its size in GiB; the image's mapping may ask for a larger volume.
    pub size: u32,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The key that it is encrypted with.
    pub kms_key_id: Option<String>,
}
