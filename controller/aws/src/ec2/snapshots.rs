//! Snapshots: converts requests and responses between our types and the SDK's.

use aws_sdk_ec2::{Client, types};
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{
    ApiError,
    request::{CreateSnapshot, DescribeSnapshots, ModifySnapshotAttribute},
    resource::{Permissions, Snapshot, SnapshotState},
};
use bakehouse_protocol::{SnapshotId, VolumeId};

use crate::ec2::{convert, pages::pages, retries::without_retries};

/// CreateSnapshot and DescribeSnapshots return the same fields in two types.
macro_rules! snapshot {
    ($it:expr) => {{
        let it = $it;
        let (state, state_message) = state(it.state, it.state_message)?;
        Ok(Snapshot {
            snapshot_id: convert::id::<SnapshotId>("a snapshot's id", it.snapshot_id)?,
            volume_id: convert::id::<VolumeId>("a snapshot's volume", it.volume_id)?,
            volume_size: convert::count("a snapshot's size", convert::required(it.volume_size, "a snapshot's size")?)?,
            state,
            state_message,
            progress: it.progress.unwrap_or_default(),
            start_time: convert::time("a snapshot's start time", it.start_time)?,
            owner_id: convert::required(it.owner_id, "a snapshot's owner")?,
            description: it.description.unwrap_or_default(),
            encrypted: it.encrypted.unwrap_or_default(),
            kms_key_id: it.kms_key_id,
            // Only DescribeSnapshotAttribute returns it.
            create_volume_permission: Permissions::default(),
            tags: convert::tags(it.tags),
        })
    }};
}

fn from_described(it: types::Snapshot) -> Result<Snapshot, ApiError> {
    snapshot!(it)
}

/// Converts a state. EC2 has two more, for snapshots that are in the Recycle Bin or are being recovered from it.
fn state(
    state: Option<types::SnapshotState>,
    message: Option<String>,
) -> Result<(SnapshotState, Option<String>), ApiError> {
    let message = message.filter(|message| !message.is_empty());
    match convert::required(state, "a snapshot's state")? {
        types::SnapshotState::Recovering => Ok((SnapshotState::Pending, message)),
        types::SnapshotState::Recoverable => Ok((SnapshotState::Error, Some("it is in the Recycle Bin".to_owned()))),
        other => Ok((convert::variant("a snapshot's state", other.as_str())?, message)),
    }
}

pub(crate) async fn describe(
    client: &Client,
    page_size: i32,
    request: DescribeSnapshots,
) -> Result<Vec<Snapshot>, ApiError> {
    let call = client
        .describe_snapshots()
        .set_snapshot_ids(convert::texts(&request.snapshot_ids))
        .set_owner_ids(convert::non_empty(request.owner_ids))
        .set_filters(convert::filters(request.filters))
        .into_paginator();
    // EC2 takes no MaxResults together with ids.
    let call = if request.snapshot_ids.is_empty() { call.page_size(page_size) } else { call };
    pages(call.items().send(), from_described).await
}

/// Creates a snapshot. Not retried, as the call has no client token: the caller looks for it before it repeats the
/// call.
pub(crate) async fn create(client: &Client, request: CreateSnapshot) -> Result<Snapshot, ApiError> {
    let created = client
        .create_snapshot()
        .volume_id(request.volume_id)
        .set_description((!request.description.is_empty()).then_some(request.description))
        .set_tag_specifications(convert::tag_specifications([(types::ResourceType::Snapshot, &request.tags)]))
        .customize()
        .config_override(without_retries())
        .send()
        .await
        .map_err(api_error)?;
    snapshot!(created)
}

pub(crate) async fn delete(client: &Client, snapshot: &SnapshotId) -> Result<(), ApiError> {
    client.delete_snapshot().snapshot_id(snapshot.as_str()).send().await.map(drop).map_err(api_error)
}

pub(crate) async fn modify(client: &Client, request: ModifySnapshotAttribute) -> Result<(), ApiError> {
    let permissions = |users: Vec<String>, groups: Vec<String>| {
        let one = types::CreateVolumePermission::builder;
        let users = users.into_iter().map(|user| one().user_id(user).build());
        let groups = groups.into_iter().map(|group| one().group(group.as_str().into()).build());
        convert::non_empty(users.chain(groups).collect())
    };
    let changes = request.create_volume_permission;
    let changes = types::CreateVolumePermissionModifications::builder()
        .set_add(permissions(changes.add_users, changes.add_groups))
        .set_remove(permissions(changes.remove_users, changes.remove_groups))
        .build();
    let call = client.modify_snapshot_attribute().snapshot_id(request.snapshot_id).create_volume_permission(changes);
    call.send().await.map(drop).map_err(api_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_one_of_ours_or_an_error() {
        let read = |text: &str| state(Some(text.into()), None);
        assert_eq!(read("pending"), Ok((SnapshotState::Pending, None)));
        assert_eq!(read("completed"), Ok((SnapshotState::Completed, None)));
        assert_eq!(read("recovering"), Ok((SnapshotState::Pending, None)));
        assert_eq!(read("recoverable").unwrap().0, SnapshotState::Error);
        assert!(read("frozen").unwrap_err().message.contains("\"frozen\""));
        let why = state(Some(types::SnapshotState::Error), Some("Given key ID is not accessible".to_owned())).unwrap();
        assert_eq!(why.1.as_deref(), Some("Given key ID is not accessible"));
    }
}
