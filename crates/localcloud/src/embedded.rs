//! The calls of the embedded cloud that only its endpoint serves.

use bakehouse_ec2::{ApiError, Ec2};
use bakehouse_protocol::Region;

use crate::{
    request::{DescribeInstances, ModifySnapshotAttribute},
    resource::Instance,
};

/// An embedded cloud. Its futures are ready at once: no call waits for anything.
pub trait EmbeddedCloud: Ec2 {
    /// Returns instances by id or filter (`instance-id`, `instance-state-name`, `availability-zone`, `tag:KEY`,
    /// `tag-key`).
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`; `InvalidParameterValue` for an unknown filter.
    fn describe_instances(&self, region: &Region, request: DescribeInstances) -> Result<Vec<Instance>, ApiError>;

    /// Changes who may create volumes from a snapshot.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `InvalidParameterCombination` (add and remove in one call),
    /// `InvalidParameterValue` (no account, or no group).
    fn modify_snapshot_attribute(&self, region: &Region, request: ModifySnapshotAttribute) -> Result<(), ApiError>;
}
