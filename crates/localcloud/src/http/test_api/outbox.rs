//! Watches what calls have begun until it has ended, and makes a notification of it.
//!
//! Changes that others make to the same cloud are not noticed. EventBridge, too, may lose any event: they are hints.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use bakehouse_ec2::resource::{ImageState, InstanceState, SnapshotState, VolumeState};
use bakehouse_protocol::{Millis, Region, Timestamp};
use pollster::FutureExt as _;

use super::notification::{Change, Notification};
use crate::{
    EmbeddedCloud,
    http::call::Transition,
    request::{DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes},
};

/// A transition that has not ended.
#[derive(Clone, Debug)]
struct Watched {
    region: Region,
    transition: Transition,
    since: Timestamp,
}

/// How long a resource that the cloud does not know is still waited for.
const NOT_FOUND_LIMIT: Millis = Millis::minutes(5);

/// How many notifications are kept.
const KEPT: usize = 10_000;

/// The transitions that have not ended, and the notifications of those that have.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    watched: Vec<Watched>,
    count: u64,
    notifications: VecDeque<Notification>,
}

impl Outbox {
    pub(crate) fn watch(&mut self, now: Timestamp, region: &Region, transitions: Vec<Transition>) {
        let watched = |transition| Watched { region: region.clone(), transition, since: now };
        self.watched.extend(transitions.into_iter().map(watched));
    }

    pub(crate) fn is_watching(&self) -> bool {
        !self.watched.is_empty()
    }

    pub(crate) fn notifications(&self) -> Vec<Notification> {
        self.notifications.iter().cloned().collect()
    }

    /// Asks the cloud once for each transition, and returns the notifications of those that have ended. `outbox` is not
    /// locked meanwhile, so that calls go on.
    pub(crate) fn poll(
        outbox: &Mutex<Self>,
        cloud: &dyn EmbeddedCloud,
        account: &str,
        now: Timestamp,
    ) -> Vec<Notification> {
        let lock = || outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = lock().watched.clone();
        let polled: Vec<(Watched, Progress)> = watched
            .into_iter()
            .map(|watched| {
                let progress = progress(cloud, &watched.region, &watched.transition);
                (watched, progress)
            })
            .collect();
        let mut outbox = lock();
        let mut new = Vec::new();
        for (ended, progress) in polled {
            let change = match progress {
                Progress::UnderWay => continue,
                Progress::NotFound if now.since(ended.since) < NOT_FOUND_LIMIT => continue,
                Progress::NotFound => None,
                Progress::Ended(change) => Some(change),
            };
            outbox.watched.retain(|it| it.transition != ended.transition && !ends(&ended.transition, &it.transition));
            if let Some(change) = change {
                outbox.count += 1;
                let (account, region, number) = (account.to_owned(), ended.region, outbox.count);
                let notification = Notification { at: now, account, region, change, number };
                if outbox.notifications.len() == KEPT {
                    outbox.notifications.pop_front();
                }
                outbox.notifications.push_back(notification.clone());
                new.push(notification);
            }
        }
        new
    }
}

/// How far a transition is.
enum Progress {
    /// It has not ended.
    UnderWay,
    /// The cloud does not know the resource: not yet, or no longer.
    NotFound,
    /// It has ended.
    Ended(Change),
}

/// Asks the cloud how far a transition is.
fn progress(cloud: &dyn EmbeddedCloud, region: &Region, transition: &Transition) -> Progress {
    match transition {
        Transition::CreateVolume(id) => {
            let request = DescribeVolumes { volume_ids: vec![id.clone()], filters: Vec::new() };
            let volume = |event, result| Progress::Ended(Change::Volume { id: id.to_string(), event, result });
            match cloud.describe_volumes(region, request).block_on().map(|all| all.first().map(|it| it.state)) {
                Ok(Some(VolumeState::Available | VolumeState::InUse)) => volume("createVolume", "available"),
                Ok(Some(VolumeState::Error)) => volume("createVolume", "failed"),
                Ok(Some(VolumeState::Creating)) => Progress::UnderWay,
                _ => Progress::NotFound,
            }
        }
        Transition::DeleteVolume(id) => {
            let request = DescribeVolumes { volume_ids: vec![id.clone()], filters: Vec::new() };
            let gone = match cloud.describe_volumes(region, request).block_on() {
                Ok(all) => all.iter().all(|it| it.state == VolumeState::Deleted),
                Err(error) => error.code == "InvalidVolume.NotFound",
            };
            if gone {
                let change = Change::Volume { id: id.to_string(), event: "deleteVolume", result: "deleted" };
                return Progress::Ended(change);
            }
            Progress::UnderWay
        }
        Transition::CreateSnapshot(id) => {
            let request = DescribeSnapshots { snapshot_ids: vec![id.clone()], ..DescribeSnapshots::default() };
            let Some(snapshot) =
                cloud.describe_snapshots(region, request).block_on().ok().and_then(|mut all| all.pop())
            else {
                return Progress::NotFound;
            };
            let result = match snapshot.state {
                SnapshotState::Pending => return Progress::UnderWay,
                SnapshotState::Completed => "succeeded",
                SnapshotState::Error => "failed",
            };
            Progress::Ended(Change::Snapshot { snapshot: Box::new(snapshot), result })
        }
        Transition::CreateImage(id) => {
            let request = DescribeImages { image_ids: vec![id.clone()], ..DescribeImages::default() };
            let Some(image) = cloud.describe_images(region, request).block_on().ok().and_then(|mut all| all.pop())
            else {
                return Progress::NotFound;
            };
            let state = match image.state {
                ImageState::Pending => return Progress::UnderWay,
                ImageState::Available | ImageState::Failed => image.state.as_str(),
            };
            let message = image.state_reason.unwrap_or_default();
            Progress::Ended(Change::Image { id: id.to_string(), state, message })
        }
        Transition::Instance(id, to) => {
            let request = DescribeInstances { instance_ids: vec![id.clone()], filters: Vec::new() };
            let Some(instance) =
                cloud.describe_instances(region, request).block_on().ok().and_then(|mut all| all.pop())
            else {
                return Progress::NotFound;
            };
            // It may have passed through a state between two polls.
            let is_past = matches!(
                (to, instance.state),
                (InstanceState::Pending, InstanceState::Running) | (InstanceState::Stopping, InstanceState::Stopped)
            );
            if instance.state != *to && !is_past {
                return Progress::UnderWay;
            }
            Progress::Ended(Change::Instance { id: id.to_string(), state: to.as_str() })
        }
        Transition::DeregisterImage(id) => {
            Progress::Ended(Change::Image { id: id.to_string(), state: "deregistered", message: String::new() })
        }
    }
}

/// Whether the end of one transition means that another one will not come to its own.
fn ends(ended: &Transition, other: &Transition) -> bool {
    match (ended, other) {
        (Transition::DeleteVolume(gone), Transition::CreateVolume(id)) => gone == id,
        (Transition::DeregisterImage(gone), Transition::CreateImage(id)) => gone == id,
        // Started while it was stopping, or the other way round.
        (Transition::Instance(id, InstanceState::Pending), Transition::Instance(other, InstanceState::Stopped))
        | (Transition::Instance(id, InstanceState::Stopping), Transition::Instance(other, InstanceState::Running)) => {
            id == other
        }
        _ => false,
    }
}
