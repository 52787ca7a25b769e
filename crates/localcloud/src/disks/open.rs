//! Opening a directory as an embedded cloud, and closing it.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use bakehouse_protocol::{InstanceId, Region, Zone, spec::Architecture};

use super::{cloud::LocalCloud, error::LocalError, process, settings::Settings, state::StateFile};
use crate::{ApiError, Model};

/// The id of the instance that this machine is, in every region.
const INSTANCE: &str = "i-0000000000000000a";

impl LocalCloud {
    /// Opens a directory, which is created if it does not exist, and cleans up after processes that died.
    ///
    /// # Errors
    /// [`LocalError::Io`] with the path that can't be written; [`LocalError::State`], [`LocalError::StateGone`] and
    /// [`LocalError::Version`].
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, LocalError> {
        for dir in [dir, &dir.join("volumes"), &dir.join("snapshots"), &dir.join("by-id")] {
            fs::create_dir_all(dir).map_err(LocalError::io("creating", dir))?;
        }
        // The kernel shows the files of loop devices as absolute paths without links.
        let dir = dir.canonicalize().map_err(LocalError::io("finding", dir))?;
        let Settings { account, regions, seed, delays, clock, device_names } = settings;
        let state = StateFile::new(&dir);
        let owner = process::current();
        let (salt, attached) = (Arc::new(AtomicU64::new(seed)), Arc::default());
        let clock = clock.into();
        let cloud = Self { dir, state, clock, owner, salt, attached, device_names, caller: None };
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
}

impl Drop for LocalCloud {
    /// Detaches what this process attached. A device that is still mounted stays until it is unmounted; then the next
    /// process that opens the directory ends the attachment.
    fn drop(&mut self) {
        // Another account's view of this cloud may still be in use. Of several that are dropped at once, one gets them.
        let Some(attached) = Arc::into_inner(std::mem::take(&mut self.attached)) else { return };
        let devices = attached.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut detached = Vec::new();
        for (id, mut device) in devices {
            let unused = device.users(Duration::ZERO).is_none();
            if unused && device.prepare_detach().is_ok() && device.detach().is_ok() {
                self.unlink(&id);
                detached.push(id);
            }
        }
        if detached.is_empty() {
            return;
        }
        // An error can't be reported any more. When this process has ended, the next one ends these attachments.
        let _ = self.change(|model, now| {
            for attachment in model.attachments(now).iter().filter(|it| detached.contains(&it.volume)) {
                model.end_attachment(now, &attachment.region, &attachment.volume);
            }
            Ok(())
        });
    }
}
