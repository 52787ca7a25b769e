//! An image's block device mappings, as EC2 has them.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::SnapshotId;

/// One mapping of an image. Field names are EC2's; a field that is `None` is not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AnyMapping")]
pub struct BlockDeviceMapping {
    /// Such as `/dev/sda1`.
    pub device_name: String,
    /// Such as `ephemeral0`.
    pub virtual_name: Option<String>,
    /// Suppress a device of this name.
    pub no_device: bool,
    /// The volume to create at launch.
    pub ebs: Option<EbsBlockDevice>,
}

/// The volume that a mapping creates at launch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EbsBlockDevice {
    /// What it starts with.
    pub snapshot_id: Option<SnapshotId>,
    /// GiB; absent: the snapshot's.
    pub volume_size: Option<u32>,
    /// As `gp3`.
    pub volume_type: Option<String>,
    /// I/O operations per second.
    pub iops: Option<u32>,
    /// MiB/s.
    pub throughput: Option<u32>,
    /// Whether it goes with its instance; absent: yes.
    pub delete_on_termination: Option<bool>,
    /// Must be absent in RegisterImage when there is a snapshot; EC2 returns it in describe calls.
    pub encrypted: Option<bool>,
    /// The key to encrypt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// A mapping as it is written now, or as records and requests before November 2026 had it: the volume's fields beside
/// the device's name.
#[derive(Deserialize)]
struct AnyMapping {
    device_name: String,
    #[serde(default)]
    virtual_name: Option<String>,
    #[serde(default)]
    no_device: bool,
    #[serde(default)]
    ebs: Option<EbsBlockDevice>,
    #[serde(flatten)]
    beside: EbsBlockDevice,
}

impl From<AnyMapping> for BlockDeviceMapping {
    fn from(any: AnyMapping) -> Self {
        let AnyMapping { device_name, virtual_name, no_device, ebs, beside } = any;
        let has_volume = !no_device && virtual_name.is_none() && beside != EbsBlockDevice::default();
        Self { device_name, virtual_name, no_device, ebs: ebs.or_else(|| has_volume.then_some(beside)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> BlockDeviceMapping {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_mapping_of_before_is_read() {
        let old = r#"{"device_name":"/dev/sda1","no_device":false,"virtual_name":null,"delete_on_termination":true,
            "volume_size":8,"volume_type":"gp3","snapshot_id":null,"iops":null,"throughput":null}"#;
        let ebs = EbsBlockDevice {
            volume_size: Some(8),
            volume_type: Some("gp3".into()),
            delete_on_termination: Some(true),
            ..EbsBlockDevice::default()
        };
        assert_eq!(
            read(old),
            BlockDeviceMapping { device_name: "/dev/sda1".into(), ebs: Some(ebs), ..Default::default() }
        );
        let bare = r#"{"device_name":"/dev/sdb","no_device":true,"virtual_name":null,"delete_on_termination":false}"#;
        assert_eq!(read(bare).ebs, None);
    }

    #[test]
    fn a_mapping_is_read_as_it_was_written() {
        for ebs in [None, Some(EbsBlockDevice::default()), Some(EbsBlockDevice { iops: Some(1), ..Default::default() })]
        {
            let mapping = BlockDeviceMapping { device_name: "/dev/sdb".into(), ebs, ..Default::default() };
            assert_eq!(read(&serde_json::to_string(&mapping).unwrap()), mapping);
        }
    }
}
