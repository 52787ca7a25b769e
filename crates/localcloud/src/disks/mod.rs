//! [`LocalCloud`]: the model on real disks, kept in a directory that several processes share.
//!
//! ```text
//! DIR/state.json       the model; replaced as a whole (temporary file, fsync, rename, fsync)
//! DIR/state.json.1     the model before the last change, to be put back by hand if state.json is damaged or lost
//! DIR/lock             flock: one process at a time changes the state
//! DIR/volumes/         vol-….raw: a sparse file a volume, of exactly its size
//! DIR/snapshots/       snap-….raw: never written again; a copy in another region is a hard link
//! DIR/by-id/           nvme-Amazon_Elastic_Block_Store_vol… -> /dev/loopN, as udev makes them on EC2
//! /dev/xvdf            -> DIR/by-id/…, if the settings ask for it (see `names`)
//! ```
//!
//! A copy of a disk takes time, so it is not made under the lock:
//!
//! ```text
//! reserve (lock: the model's record, "held by this process")
//!    -> copy (no lock: NAME.raw.PID.START.N.partial, then NAME.raw as a second name)
//!       -> finish (lock: the record is no longer held; then the first name goes)
//!                                                              or, if copying failed, the record is taken back
//! ```
//! A process that dies in between leaves a record held by nobody. The next one to come along takes a dead volume back,
//! with its client token, and turns a dead snapshot into state `error`. Loop devices are kept open by their process and
//! free themselves with it.
//!
//! That the state does not know a disk is no reason to remove it: the state may have been begun anew, or be an older one
//! that was put back. A file is removed
//!
//! - with its resource, when a change takes that out of a state which knew it: which files go is written with the change;
//! - as unfinished: it still has the name that tells which process makes it, and that is dead (or has failed), and the state
//!   does not know it as finished;
//! - by [`LocalCloud::remove_unknown`], for whoever asks for just that.
//!
//! No id is given twice, and no file takes another one's name, whichever state was put back.

mod attach;
mod copy;
mod device;
mod ec2;
mod error;
mod holders;
mod images;
mod ioctl;
mod names;
mod process;
mod state;
mod sweep;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bakehouse_protocol::{InstanceId, Region, SnapshotId, Timestamp, VolumeId, Zone, spec::Architecture};

pub use copy::changed_bytes;
pub use error::LocalError;
pub use sweep::Leftover;

use crate::{
    ApiError, Delays, Model,
    model::{DiskId, Owner, RegionResources},
    request::DescribeInstances,
    resource::Instance,
};
use copy::Partial;
use device::LoopDevice;
use state::{Lock, State, StateFile};

/// The regions of AWS that every account has without opting in, and those most used besides.
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The instance that this machine is, in every region.
const INSTANCE: &str = "i-0000000000000000a";

/// What an embedded cloud needs from outside.
pub struct Settings {
    /// The account that calls.
    pub account: String,
    /// The regions there are.
    pub regions: Vec<Region>,
    /// Where ids come from. A number that no other process on this directory has: see [`Model::salt_ids`].
    pub seed: u64,
    /// How long things take beyond what copying takes. None by default.
    pub delays: Delays,
    /// The time.
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Where attached volumes appear by the names of their attachments as well: `/dev` for programs that look for
    /// them there. Nowhere by default.
    pub device_names: Option<PathBuf>,
}

impl Settings {
    /// The account 000000000000 in all of AWS's regions, without delays.
    pub fn new(seed: u64, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            account: "000000000000".to_owned(),
            regions: REGIONS.iter().filter_map(|name| Region::new(*name).ok()).collect(),
            seed,
            delays: Delays::default(),
            clock: Box::new(clock),
            device_names: None,
        }
    }
}

/// An EC2 in a directory. Several may be open on one directory, in one process or in several.
pub struct LocalCloud {
    dir: PathBuf,
    state: StateFile,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    owner: Owner,
    /// For [`Model::salt_ids`]: another one each time that the state is read.
    salt: AtomicU64,
    attached: Mutex<BTreeMap<VolumeId, LoopDevice>>,
    device_names: Option<PathBuf>,
}

impl fmt::Debug for LocalCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCloud").field("dir", &self.dir).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl LocalCloud {
    /// Opens a directory, made if it is not there, and clears up after processes that died.
    ///
    /// # Errors
    /// [`LocalError::Io`] naming the path that can't be written; [`LocalError::State`], [`LocalError::StateGone`] and
    /// [`LocalError::Version`].
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, LocalError> {
        for dir in [dir, &dir.join("volumes"), &dir.join("snapshots"), &dir.join("by-id")] {
            fs::create_dir_all(dir).map_err(LocalError::io("creating", dir))?;
        }
        // Loop devices tell their files by absolute paths without links.
        let dir = dir.canonicalize().map_err(LocalError::io("finding", dir))?;
        let Settings { account, regions, seed, delays, clock, device_names } = settings;
        let state = StateFile::new(&dir);
        let owner = process::myself();
        let (salt, attached) = (AtomicU64::new(seed), Mutex::default());
        let cloud = Self { dir, state, clock, owner, salt, attached, device_names };
        let lock = cloud.state.lock()?;
        let before = cloud.state.load()?;
        let mut model = match &before {
            Some(before) => before.model.clone(),
            None => Model::new(account, [], seed, delays),
        };
        model.set_delays(delays);
        let known: BTreeSet<Region> = model.describe_regions().into_iter().collect();
        for region in regions.iter().filter(|region| !known.contains(region)) {
            cloud.add_region(&mut model, region)?;
        }
        cloud.reconcile(&mut model);
        let after = cloud.save(before.as_ref(), model, &lock)?;
        cloud.remove_dead_partials(&after.model);
        drop(lock);
        cloud.remove_files(&after);
        cloud.remove_stale_names();
        Ok(cloud)
    }

    fn add_region(&self, model: &mut Model, region: &Region) -> Result<(), LocalError> {
        let invalid = |error: bakehouse_protocol::InvalidId| ApiError::new("InternalError", error.to_string());
        let zone = Zone::new(format!("{region}a")).map_err(invalid)?;
        let id = InstanceId::new(INSTANCE).map_err(invalid)?;
        let architecture = if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 };
        model.add_regions([region.clone()]);
        Ok(model.add_instance(region, id, zone, architecture)?)
    }

    /// Adds an instance that this machine is as well: a second host, for tests of a fleet.
    ///
    /// # Errors
    /// [`LocalError::Api`] for a region that is not there.
    pub fn add_another_instance(&self, region: &Region, id: InstanceId) -> Result<(), LocalError> {
        let like = self.instance(region)?;
        self.change(|model, _| Ok(model.add_instance(region, id, like.availability_zone, like.architecture)?))
    }

    /// The instance that this machine is in a region.
    ///
    /// # Errors
    /// [`LocalError::Api`] for a region that is not there.
    pub fn instance(&self, region: &Region) -> Result<Instance, LocalError> {
        let all = self.view()?.describe_instances(self.now(), region, &DescribeInstances::default())?;
        let missing = || ApiError::new("InvalidInstanceID.NotFound", format!("There is no instance in {region}"));
        Ok(all.into_iter().next().ok_or_else(missing)?)
    }

    /// The account that calls.
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn account(&self) -> Result<String, LocalError> {
        Ok(self.view()?.account().to_owned())
    }

    /// Where disks appear by volume id; what `/dev/disk/by-id` is on EC2.
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

    /// RegionResources there is, region by region.
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn everything(&self) -> Result<Vec<RegionResources>, LocalError> {
        Ok(self.view()?.everything(self.now()))
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The devices that this process keeps.
    fn devices(&self) -> MutexGuard<'_, BTreeMap<VolumeId, LoopDevice>> {
        // The map is whole between any two of its operations, so a panic elsewhere does not make it wrong.
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as it is, to look at.
    fn view(&self) -> Result<Model, LocalError> {
        Ok(self.load()?.model)
    }

    fn load(&self) -> Result<State, LocalError> {
        let path = self.dir.join("state.json");
        let missing = || LocalError::io("reading", &path)(io::ErrorKind::NotFound.into());
        let mut state = self.state.load()?.ok_or_else(missing)?;
        state.model.salt_ids(self.salt.fetch_add(1, Ordering::Relaxed));
        Ok(state)
    }

    /// Changes the state: all that `f` does, or nothing if it fails. Files of what is gone afterwards are removed.
    /// Under the lock, so `f` must be quick.
    fn change<T>(&self, f: impl FnOnce(&mut Model, Timestamp) -> Result<T, LocalError>) -> Result<T, LocalError> {
        let lock = self.state.lock()?;
        let before = self.load()?;
        let mut model = before.model.clone();
        self.reconcile_held(&mut model);
        let result = f(&mut model, self.now())?;
        let after = self.save(Some(&before), model, &lock)?;
        drop(lock);
        self.remove_files(&after);
        Ok(result)
    }

    /// Saves what has changed, and with it which files go: whoever dies before they have gone leaves that to the next.
    fn save(&self, before: Option<&State>, model: Model, lock: &Lock) -> Result<State, LocalError> {
        let mut removed = Vec::new();
        if let Some(before) = before {
            removed.extend(before.removed.iter().filter(|it| self.path_of(it).exists()).cloned());
            // The file of one that was still being made is unfinished: it goes by its names.
            let held: Vec<DiskId> = before.model.held().into_iter().map(|(_, resource, _)| resource).collect();
            removed.extend(gone(&before.model, &model, self.now()).into_iter().filter(|it| !held.contains(it)));
        }
        let after = State { model, removed };
        if before.is_none_or(|before| before.model != after.model) {
            self.state.save(&after, lock)?;
        }
        Ok(after)
    }

    /// The file of a disk.
    fn path_of(&self, resource: &DiskId) -> PathBuf {
        match resource {
            DiskId::Volume(id) => self.volume_path(id),
            DiskId::Snapshot(id) => self.snapshot_path(id),
        }
    }

    /// Lets files that a change was to bring in have their names, if it has; else they are removed. It has also if it
    /// failed only after the state was written; if that can't be read, they stay.
    fn finish(&self, made: Vec<(DiskId, Partial)>, done: bool) {
        let known = if done { None } else { self.view().ok().map(|model| resources(&model, self.now())) };
        for (resource, partial) in made {
            if known.as_ref().is_none_or(|known| known.contains(&resource)) {
                partial.finish();
            }
        }
    }

    /// Removes the files of resources that are gone. One that can't be removed is tried again after the next change.
    fn remove_files(&self, state: &State) {
        for resource in &state.removed {
            let _ = fs::remove_file(self.path_of(resource));
        }
    }
}

impl Drop for LocalCloud {
    /// What this process attached goes with it. A device that is still mounted stays until it is unmounted, and the
    /// next one to open the directory takes note of it.
    fn drop(&mut self) {
        let devices = std::mem::take(&mut *self.devices());
        let mut freed = Vec::new();
        for (id, mut device) in devices {
            let unused = device.users(std::time::Duration::ZERO).is_none();
            if unused && device.prepare_detach().is_ok() && device.detach().is_ok() {
                self.unlink(&id);
                freed.push(id);
            }
        }
        if freed.is_empty() {
            return;
        }
        // Nobody is left to tell of an error; the attachments' owner is dead soon, which says the same.
        let _ = self.change(|model, now| {
            for attachment in model.attachments(now).iter().filter(|it| freed.contains(&it.volume)) {
                model.end_attachment(now, &attachment.region, &attachment.volume);
            }
            Ok(())
        });
    }
}

/// The volumes and snapshots of one state that another, later one no longer has.
fn gone(before: &Model, after: &Model, now: Timestamp) -> Vec<DiskId> {
    let after = resources(after, now);
    // Times don't make resources go here: the state before is read as of its beginning.
    resources(before, Timestamp(0)).into_iter().filter(|it| !after.contains(it)).collect()
}

fn resources(model: &Model, now: Timestamp) -> Vec<DiskId> {
    let regions = model.everything(now);
    let volumes = regions.iter().flat_map(|it| &it.volumes).map(|it| DiskId::Volume(it.volume_id.clone()));
    let snapshots = regions.iter().flat_map(|it| &it.snapshots).map(|it| DiskId::Snapshot(it.snapshot_id.clone()));
    volumes.chain(snapshots).collect()
}
