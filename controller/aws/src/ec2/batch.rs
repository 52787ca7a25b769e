//! Looks at single things, merged: what several builds of one invocation want to see of one region is one call.
//!
//! A look at one volume, snapshot or image waits for its lane's turn (a lane is a region and a kind of thing). Whoever has
//! the turn first lets other tasks that are ready run, waits a moment if it was told to ([`Batched::gathering`]), then takes
//! what has gathered and asks for all of it. What comes while a call is on its way gathers for the next one. So there is
//! never more than one such call at a time, and a look never gives what was seen before it was asked for.
//!
//! Several are asked for by filter (`volume-id`, …), so that one that is missing does not fail the others; its asker is
//! told what EC2 would have said. One alone is asked for by id, and so are snapshots: a filter without an owner makes EC2
//! go through everybody's public snapshots, which takes minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bakehouse_ec2::{
    ApiError, Ec2,
    request::{self, Filter},
    resource,
};
use bakehouse_protocol::{ImageId, Region, SnapshotId};
use tokio::sync::oneshot;

/// EC2 takes so many values in one filter.
const VALUES: usize = 200;

/// How often those that are ready are let go first. Once is enough for tasks that are ready now; what they wake in turn,
/// a channel or a lock between them, gets its turn, too.
const YIELDS: usize = 4;

/// What EC2 says of a snapshot that is not there.
const NO_SNAPSHOT: &str = "InvalidSnapshot.NotFound";

/// An [`Ec2`] whose looks at single things are merged.
#[derive(Debug)]
pub struct Batched<E> {
    ec2: E,
    volumes: Lanes<resource::Volume>,
    snapshots: Lanes<resource::Snapshot>,
    images: Lanes<resource::Image>,
}

impl<E> Batched<E> {
    /// The same EC2. Nobody waits for others that are not ready yet.
    pub fn new(ec2: E) -> Self {
        Self::gathering(ec2, Duration::ZERO)
    }

    /// The same EC2; every look waits so long for others. Builds that were woken at the same moment have their records to
    /// read before they look, and are some milliseconds apart by then.
    pub fn gathering(ec2: E, moment: Duration) -> Self {
        Self { ec2, volumes: Lanes::new(moment), snapshots: Lanes::new(moment), images: Lanes::new(moment) }
    }

    /// The EC2 itself.
    pub fn inner(&self) -> &E {
        &self.ec2
    }
}

impl<E: Ec2> Batched<E> {
    /// Snapshots by their ids, those that are there. One that is missing fails a call for several; then each is asked for
    /// alone.
    async fn snapshots(&self, region: &Region, ids: Vec<String>) -> Result<Vec<resource::Snapshot>, ApiError> {
        let ids: Vec<SnapshotId> = ids.into_iter().filter_map(|id| id.try_into().ok()).collect();
        let ask = |snapshot_ids| {
            self.ec2.describe_snapshots(region, request::DescribeSnapshots { snapshot_ids, ..Default::default() })
        };
        match ask(ids.clone()).await {
            Err(error) if ids.len() > 1 && error.code == NO_SNAPSHOT => {}
            seen => return seen,
        }
        let mut seen = Vec::with_capacity(ids.len());
        for id in ids {
            match ask(vec![id]).await {
                Ok(found) => seen.extend(found),
                Err(error) if error.code == NO_SNAPSHOT => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }
}

/// A region's lane for each region.
#[derive(Debug)]
struct Lanes<T> {
    moment: Duration,
    lanes: Mutex<BTreeMap<Region, Arc<Lane<T>>>>,
}

/// Who waits for one kind of thing in one region.
#[derive(Debug)]
struct Lane<T> {
    moment: Duration,
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting<T>>>,
}

type Seen<T> = Result<T, ApiError>;

#[derive(Debug)]
struct Waiting<T> {
    id: String,
    answer: oneshot::Sender<Seen<T>>,
}

impl<T> Lanes<T> {
    fn new(moment: Duration) -> Self {
        Self { moment, lanes: Mutex::default() }
    }

    fn lane(&self, region: &Region) -> Arc<Lane<T>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = self.moment;
        let new = || Arc::new(Lane { moment, turn: tokio::sync::Mutex::default(), waiting: Mutex::default() });
        Arc::clone(lanes.entry(region.clone()).or_insert_with(new))
    }
}

impl<T: Clone> Lane<T> {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, id: &str) -> oneshot::Receiver<Seen<T>> {
        let (answer, receiver) = oneshot::channel();
        self.waiting().push(Waiting { id: id.to_owned(), answer });
        receiver
    }

    /// Sees one thing. `look` asks for these ids, all at once; `name` is a thing's id; `missing` is what EC2 says of one
    /// that is not there.
    async fn see<F: Future<Output = Result<Vec<T>, ApiError>>>(
        &self,
        id: &str,
        look: impl Fn(Vec<String>) -> F,
        name: impl Fn(&T) -> &str,
        missing: impl Fn(&str) -> ApiError,
    ) -> Seen<T> {
        let mut answer = self.join(id);
        loop {
            tokio::select! {
                biased;
                seen = &mut answer => match seen {
                    Ok(seen) => return seen,
                    // Whoever asked for us was dropped in the middle of it.
                    Err(_) => answer = self.join(id),
                },
                _turn = self.turn.lock() => self.ask(&look, &name, &missing).await,
            }
        }
    }

    async fn ask<F: Future<Output = Result<Vec<T>, ApiError>>>(
        &self,
        look: &impl Fn(Vec<String>) -> F,
        name: &impl Fn(&T) -> &str,
        missing: &impl Fn(&str) -> ApiError,
    ) {
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        if !self.moment.is_zero() {
            tokio::time::sleep(self.moment).await;
        }
        let batch = self.take();
        let ids: BTreeSet<String> = batch.iter().map(|waiting| waiting.id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let seen = look(ids.into_iter().collect()).await;
        for Waiting { id, answer } in batch {
            let mine = match &seen {
                Ok(things) => things.iter().find(|thing| name(thing) == id).cloned().ok_or_else(|| missing(&id)),
                Err(error) => Err(error.clone()),
            };
            // Whoever does not wait any more needs no answer.
            let _ = answer.send(mine);
        }
    }

    /// The oldest that still wait, as many as fit into one call.
    fn take(&self) -> Vec<Waiting<T>> {
        let mut waiting = self.waiting();
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let mut ids = BTreeSet::new();
        let full = waiting.iter().position(|it| {
            ids.insert(it.id.clone());
            ids.len() > VALUES
        });
        let fit = full.unwrap_or(waiting.len());
        waiting.drain(..fit).collect()
    }
}

/// What a call for these ids says: ids for one, a filter for several.
fn by<I: TryFrom<String>>(name: &str, mut ids: Vec<String>) -> (Vec<I>, Vec<Filter>) {
    if ids.len() == 1
        && let Some(Ok(id)) = ids.pop().map(I::try_from)
    {
        return (vec![id], vec![]);
    }
    (vec![], vec![Filter { name: name.to_owned(), values: ids }])
}

impl<E: Ec2> Ec2 for Batched<E> {
    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        let [id] = &request.volume_ids[..] else { return self.ec2.describe_volumes(region, request).await };
        if !request.filters.is_empty() {
            return self.ec2.describe_volumes(region, request).await;
        }
        let look = |ids| {
            let (volume_ids, filters) = by("volume-id", ids);
            self.ec2.describe_volumes(region, request::DescribeVolumes { volume_ids, filters })
        };
        let missing = |id: &str| ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."));
        let lane = self.volumes.lane(region);
        Ok(vec![lane.see(id.as_str(), look, |it| it.volume_id.as_str(), missing).await?])
    }

    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        let [id] = &request.snapshot_ids[..] else { return self.ec2.describe_snapshots(region, request).await };
        if !(request.filters.is_empty() && request.owner_ids.is_empty()) {
            return self.ec2.describe_snapshots(region, request).await;
        }
        let look = |ids| self.snapshots(region, ids);
        let missing = |id: &str| ApiError::new(NO_SNAPSHOT, format!("The snapshot '{id}' does not exist."));
        let lane = self.snapshots.lane(region);
        Ok(vec![lane.see(id.as_str(), look, |it| it.snapshot_id.as_str(), missing).await?])
    }

    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        let [id] = &request.image_ids[..] else { return self.ec2.describe_images(region, request).await };
        if !(request.filters.is_empty() && request.owners.is_empty()) {
            return self.ec2.describe_images(region, request).await;
        }
        let look = |ids| {
            let (image_ids, filters) = by("image-id", ids);
            // An image that is asked for by id is shown though it is deprecated; a filter must be told.
            let include_deprecated = true;
            self.ec2.describe_images(
                region,
                request::DescribeImages { image_ids, filters, owners: vec![], include_deprecated },
            )
        };
        let missing =
            |id: &str| ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"));
        let lane = self.images.lane(region);
        Ok(vec![lane.see(id.as_str(), look, |it| it.image_id.as_str(), missing).await?])
    }

    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.ec2.describe_regions().await
    }
    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError> {
        self.ec2.describe_instances(region, request).await
    }
    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError> {
        self.ec2.create_volume(region, request).await
    }
    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.ec2.attach_volume(region, request).await
    }
    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.ec2.detach_volume(region, request).await
    }
    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError> {
        self.ec2.delete_volume(region, request).await
    }
    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError> {
        self.ec2.create_snapshot(region, request).await
    }
    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.ec2.delete_snapshot(region, snapshot).await
    }
    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError> {
        self.ec2.register_image(region, request).await
    }
    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError> {
        self.ec2.copy_image(region, request).await
    }
    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        self.ec2.modify_image_attribute(region, request).await
    }
    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.ec2.modify_snapshot_attribute(region, request).await
    }
    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError> {
        self.ec2.create_tags(region, request).await
    }
    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError> {
        self.ec2.deregister_image(region, request).await
    }
}
