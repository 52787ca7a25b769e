//! EC2's errors that more than one call answers.

use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, VolumeId};

use crate::{ApiError, resource::SnapshotState};

pub(super) fn no_region(region: &Region) -> ApiError {
    ApiError::new("InvalidParameterValue", format!("Invalid region name '{region}'"))
}

pub(super) fn no_instance(id: &InstanceId) -> ApiError {
    ApiError::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
}

pub(super) fn no_image(id: &ImageId) -> ApiError {
    ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

pub(super) fn no_snapshot(id: &SnapshotId) -> ApiError {
    ApiError::new("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
}

pub(super) fn no_volume(id: &VolumeId) -> ApiError {
    ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
}

/// A snapshot that is needed completed is in another state.
pub(super) fn incomplete(state: SnapshotState) -> ApiError {
    ApiError::new("IncorrectState", format!("Snapshot is in invalid state - {state}"))
}

/// A client token was used for another request.
pub(super) fn mismatch() -> ApiError {
    ApiError::new(
        "IdempotentParameterMismatch",
        "The client token was used before with other parameters in the request.",
    )
}
