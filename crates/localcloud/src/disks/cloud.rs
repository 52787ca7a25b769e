//! [`LocalCloud`]: its files, and changes of its state.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bakehouse_protocol::{InstanceId, Region, SnapshotId, Timestamp, VolumeId};

use super::{
    device::LoopDevice,
    error::LocalError,
    partial::Partial,
    reconcile,
    state::{Lock, State, StateFile},
};
use crate::{
    ApiError, Model,
    model::{DiskId, Owner, RegionResources},
    request::DescribeInstances,
    resource::Instance,
};

/// An EC2 in a directory, for the calls of one account. One directory may be open several times, in one process or in
/// several.
pub struct LocalCloud {
    pub(super) dir: PathBuf,
    pub(super) state: StateFile,
    pub(super) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub(super) owner: Owner,
    /// For [`Model::salt_ids`]: another one each time that the state is read.
    pub(super) salt: Arc<AtomicU64>,
    /// Shared by all accounts of one [`LocalCloud::open`]; the last one that is dropped detaches them.
    pub(super) attached: Arc<Mutex<BTreeMap<VolumeId, LoopDevice>>>,
    pub(super) device_names: Option<PathBuf>,
    /// The account that calls; `None`: the cloud's own.
    pub(super) caller: Option<String>,
}

impl fmt::Debug for LocalCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCloud").field("dir", &self.dir).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl LocalCloud {
    /// Adds another instance that this machine is: a second host, for tests of a fleet.
    ///
    /// # Errors
    /// [`LocalError::Api`] for an unknown region.
    pub fn add_another_instance(&self, region: &Region, id: InstanceId) -> Result<(), LocalError> {
        let like = self.instance(region)?;
        self.change(|model, _| Ok(model.add_instance(region, id, like.availability_zone, like.architecture)?))
    }

    /// The instance that this machine is in a region.
    ///
    /// # Errors
    /// [`LocalError::Api`] for an unknown region.
    pub fn instance(&self, region: &Region) -> Result<Instance, LocalError> {
        let all = self.view()?.describe_instances(self.now(), region, &DescribeInstances::default())?;
        let missing = || ApiError::new("InvalidInstanceID.NotFound", format!("There is no instance in {region}"));
        Ok(all.into_iter().next().ok_or_else(missing)?)
    }

    /// The same cloud for the calls of another account; `None`: of its own.
    pub(super) fn with_caller(&self, account: Option<String>) -> Self {
        Self {
            dir: self.dir.clone(),
            state: self.state.clone(),
            clock: Arc::clone(&self.clock),
            owner: self.owner.clone(),
            salt: Arc::clone(&self.salt),
            attached: Arc::clone(&self.attached),
            device_names: self.device_names.clone(),
            caller: account,
        }
    }

    /// The account that owns what is created.
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn account(&self) -> Result<String, LocalError> {
        Ok(self.view()?.caller().to_owned())
    }

    /// The directory with a link to each attached volume's device by volume id, as `/dev/disk/by-id` on EC2.
    pub fn by_id(&self) -> PathBuf {
        self.dir.join("by-id")
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of a volume.
    pub fn volume_path(&self, id: &VolumeId) -> PathBuf {
        self.dir.join("volumes").join(format!("{id}.raw"))
    }

    /// The file of a snapshot.
    pub fn snapshot_path(&self, id: &SnapshotId) -> PathBuf {
        self.dir.join("snapshots").join(format!("{id}.raw"))
    }

    /// All resources, by region.
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn everything(&self) -> Result<Vec<RegionResources>, LocalError> {
        Ok(self.view()?.everything(self.now()))
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The devices that this process attached.
    pub(super) fn devices(&self) -> MutexGuard<'_, BTreeMap<VolumeId, LoopDevice>> {
        // Each operation leaves the map consistent, so a panic elsewhere does not matter.
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model as it is now, for reading.
    pub(super) fn view(&self) -> Result<Model, LocalError> {
        Ok(self.load()?.model)
    }

    pub(super) fn load(&self) -> Result<State, LocalError> {
        let path = self.dir.join("state.json");
        let missing = || LocalError::io("reading", &path)(io::ErrorKind::NotFound.into());
        let mut state = self.state.load()?.ok_or_else(missing)?;
        state.model.salt_ids(self.salt.fetch_add(1, Ordering::Relaxed));
        state.model.set_caller(self.caller.clone());
        Ok(state)
    }

    /// Changes the state under the lock: all that `f` does, or nothing if it fails. Then removes the files of resources
    /// that are deleted. `f` must be quick.
    pub(super) fn change<T>(
        &self,
        f: impl FnOnce(&mut Model, Timestamp) -> Result<T, LocalError>,
    ) -> Result<T, LocalError> {
        let lock = self.state.lock()?;
        let before = self.load()?;
        let mut model = before.model.clone();
        reconcile::end_dead_copies(&mut model, self.now(), &self.owner);
        let result = f(&mut model, self.now())?;
        let after = self.save(Some(&before), model, &lock)?;
        drop(lock);
        self.remove_files(&after);
        Ok(result)
    }

    /// Saves a changed model, and with it which files are to be removed: if this process dies before, another one does
    /// it.
    pub(super) fn save(&self, before: Option<&State>, model: Model, lock: &Lock) -> Result<State, LocalError> {
        let mut removed = Vec::new();
        if let Some(before) = before {
            removed.extend(before.removed.iter().filter(|it| self.path_of(it).exists()).cloned());
            // The file of a disk that was being written is unfinished: it is found by its temporary name.
            let held: Vec<DiskId> = before.model.held().into_iter().map(|(_, resource, _)| resource).collect();
            removed.extend(deleted(&before.model, &model, self.now()).into_iter().filter(|it| !held.contains(it)));
        }
        let after = State { model, removed };
        if before.is_none_or(|before| before.model != after.model) {
            self.state.save(&after, lock)?;
        }
        Ok(after)
    }

    /// The file of a disk.
    pub(super) fn path_of(&self, resource: &DiskId) -> PathBuf {
        match resource {
            DiskId::Volume(id) => self.volume_path(id),
            DiskId::Snapshot(id) => self.snapshot_path(id),
        }
    }

    /// Finishes the files that belong to a change, or removes them if it failed. If it failed after the state was
    /// written, the state has them; if the state can't be read, they are kept.
    pub(super) fn finish(&self, made: Vec<(DiskId, Partial)>, done: bool) {
        let known = if done { None } else { self.view().ok().map(|model| disks_of(&model, self.now())) };
        for (resource, partial) in made {
            if known.as_ref().is_none_or(|known| known.contains(&resource)) {
                partial.finish();
            }
        }
    }

    /// Removes the files of deleted resources. One that can't be removed is tried again after the next change.
    pub(super) fn remove_files(&self, state: &State) {
        for resource in &state.removed {
            let _ = fs::remove_file(self.path_of(resource));
        }
    }
}

/// The disks of one state that a later one no longer has.
fn deleted(before: &Model, after: &Model, now: Timestamp) -> Vec<DiskId> {
    let after = disks_of(after, now);
    // At time 0 nothing has been deleted by the passing of time.
    disks_of(before, Timestamp(0)).into_iter().filter(|it| !after.contains(it)).collect()
}

/// The disks of a state.
pub(super) fn disks_of(model: &Model, now: Timestamp) -> Vec<DiskId> {
    let regions = model.everything(now);
    let volumes = regions.iter().flat_map(|it| &it.volumes).map(|it| DiskId::Volume(it.volume_id.clone()));
    let snapshots = regions.iter().flat_map(|it| &it.snapshots).map(|it| DiskId::Snapshot(it.snapshot_id.clone()));
    volumes.chain(snapshots).collect()
}
