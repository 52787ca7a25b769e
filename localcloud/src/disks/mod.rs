//! [`LocalCloud`]: the model on real disks, kept in a directory that several processes share.
//!
//! ```text
//! DIR/state.json       the model; replaced as a whole (temporary file, fsync, rename, fsync)
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
//!    -> copy (no lock: NAME.raw.PID.START.N.partial, then renamed)
//!       -> finish (lock: the record is no longer held)         or, if copying failed, the record is taken back
//! ```
//! A process that dies in between leaves a record held by nobody. The next one to come along takes a dead volume back,
//! with its client token, and turns a dead snapshot into state `error`. Loop devices are kept open by their process and
//! free themselves with it.

mod attach;
mod copy;
mod device;
mod ec2;
mod error;
#[cfg(test)]
mod fixture;
mod holders;
mod images;
mod ioctl;
mod names;
mod process;
#[cfg(test)]
mod root_process_tests;
#[cfg(test)]
mod root_tests;
mod state;
mod sweep;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bakehouse_protocol::{InstanceId, Region, SnapshotId, Timestamp, VolumeId, Zone, spec::Architecture};

pub use copy::changed_bytes;
pub use error::LocalError;
pub use sweep::Leftover;

use crate::{
    ApiError, Delays, Model,
    model::{Everything, Held, Owner},
    request::DescribeInstances,
    resource::Instance,
};
use device::LoopDevice;
use state::{Lock, StateFile};

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
    /// Where ids come from, in a fresh directory.
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
    /// [`LocalError::Io`] naming the path that can't be written; [`LocalError::State`] and [`LocalError::Version`].
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, LocalError> {
        for dir in [dir, &dir.join("volumes"), &dir.join("snapshots"), &dir.join("by-id")] {
            fs::create_dir_all(dir).map_err(LocalError::io("creating", dir))?;
        }
        // Loop devices tell their files by absolute paths without links.
        let dir = dir.canonicalize().map_err(LocalError::io("finding", dir))?;
        let Settings { account, regions, seed, delays, clock, device_names } = settings;
        let state = StateFile::new(&dir);
        let cloud = Self { dir, state, clock, owner: process::myself(), attached: Mutex::default(), device_names };
        let lock = cloud.state.lock()?;
        let before = cloud.state.load()?;
        let mut model = before.clone().unwrap_or_else(|| Model::new(account, [], seed, delays));
        model.set_delays(delays);
        let known: BTreeSet<Region> = model.describe_regions().into_iter().collect();
        for region in regions.iter().filter(|region| !known.contains(region)) {
            cloud.add_region(&mut model, region)?;
        }
        cloud.reconcile(&mut model);
        if before.as_ref() != Some(&model) {
            cloud.state.save(&model, &lock)?;
        }
        drop(lock);
        if let Some(before) = before {
            cloud.remove_files(&gone(&before, &model, cloud.now()));
        }
        cloud.remove_dead_partials();
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

    /// Everything there is, region by region.
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn everything(&self) -> Result<Vec<Everything>, LocalError> {
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
        let path = self.dir.join("state.json");
        let missing = || LocalError::io("reading", &path)(io::ErrorKind::NotFound.into());
        self.state.load()?.ok_or_else(missing)
    }

    /// Changes the state: all that `f` does, or nothing if it fails. Files of what is gone afterwards are removed.
    /// Under the lock, so `f` must be quick.
    fn change<T>(&self, f: impl FnOnce(&mut Model, Timestamp) -> Result<T, LocalError>) -> Result<T, LocalError> {
        let lock = self.state.lock()?;
        let before = self.view()?;
        let mut model = before.clone();
        self.reconcile_held(&mut model);
        let result = f(&mut model, self.now())?;
        self.save(&before, &model, &lock)?;
        drop(lock);
        self.remove_files(&gone(&before, &model, self.now()));
        Ok(result)
    }

    fn save(&self, before: &Model, model: &Model, lock: &Lock) -> Result<(), LocalError> {
        if before == model { Ok(()) } else { self.state.save(model, lock) }
    }

    /// Removes the files of resources that are gone. A file that can't be removed is left to a sweep: the resource is
    /// gone all the same.
    fn remove_files(&self, gone: &[Held]) {
        for resource in gone {
            let _ = fs::remove_file(match resource {
                Held::Volume(id) => self.volume_path(id),
                Held::Snapshot(id) => self.snapshot_path(id),
            });
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
fn gone(before: &Model, after: &Model, now: Timestamp) -> Vec<Held> {
    let after = resources(after, now);
    // Times don't make resources go here: the state before is read as of its beginning.
    resources(before, Timestamp(0)).into_iter().filter(|it| !after.contains(it)).collect()
}

fn resources(model: &Model, now: Timestamp) -> Vec<Held> {
    let regions = model.everything(now);
    let volumes = regions.iter().flat_map(|it| &it.volumes).map(|it| Held::Volume(it.volume_id.clone()));
    let snapshots = regions.iter().flat_map(|it| &it.snapshots).map(|it| Held::Snapshot(it.snapshot_id.clone()));
    volumes.chain(snapshots).collect()
}
