//! Requests of EC2: those of the controller ([`bakehouse_ec2::request`]) and those that only the endpoint answers.

pub use bakehouse_ec2::request::*;
use bakehouse_protocol::{InstanceId, SnapshotId};

/// DescribeInstances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeInstances {
    /// Only these; each must exist.
    pub instance_ids: Vec<InstanceId>,
    /// All of these must match.
    pub filters: Vec<Filter>,
}

/// ModifySnapshotAttribute (`createVolumePermission`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifySnapshotAttribute {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Who may create volumes from it.
    pub create_volume_permission: PermissionChanges,
}
