//! The host: its instance, its kernel, its slots.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bakehouse_protocol::HostId;

use crate::{ports::Identity, settings::Settings};

/// The properties of the host that do not change while the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name: the instance's id.
    pub id: HostId,
    /// Its instance.
    pub identity: Identity,
    /// `uname -r`.
    pub kernel: String,
    /// How many builds it runs concurrently.
    pub slots: u32,
    /// How many volumes it can have attached.
    pub attach_limit: Option<u32>,
}

impl Host {
    /// Returns this host.
    ///
    /// # Errors
    /// The instance's id can't be a host's name.
    pub fn find(identity: Identity, settings: &Settings) -> Result<Self, String> {
        let id = HostId::new(identity.instance.as_str()).map_err(|error| error.to_string())?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let attach_limit = settings.attach_limit.or_else(|| attach_limit(Path::new("/sys")));
        let cpus =
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
        let slots = settings.slots.unwrap_or_else(|| slots(cpus, attach_limit));
        Ok(Self { id, identity, kernel, slots, attach_limit })
    }
}

/// Returns the number of slots: one for each CPU, as provisioning is mostly one busy process, but no more than volumes
/// can be attached beside the host's own.
fn slots(cpus: u32, attach_limit: Option<u32>) -> u32 {
    attach_limit.map_or(cpus, |limit| cpus.min(limit.saturating_sub(1))).max(1)
}

/// Returns how many volumes can be attached. On Nitro, network interfaces, instance store disks and EBS volumes share
/// 28 attachments. Newer types have a limit for volumes alone, which is not lower.
fn attach_limit(sys: &Path) -> Option<u32> {
    let list = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let model = |disk: &PathBuf| fs::read_to_string(disk.join("device/model")).unwrap_or_default();
    let models: Vec<String> = list(sys.join("block")).map(|disk| model(&disk).trim().to_owned()).collect();
    if !models.iter().any(|model| model == "Amazon Elastic Block Store") {
        return None;
    }
    let stores = models.iter().filter(|model| *model == "Amazon EC2 NVMe Instance Storage").count();
    // Several names of one network card count once.
    let cards: BTreeSet<PathBuf> =
        list(sys.join("class/net")).filter_map(|card| fs::canonicalize(card.join("device")).ok()).collect();
    u32::try_from(28_usize.saturating_sub(stores + cards.len().max(1))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_by_size() {
        assert_eq!(slots(4, None), 4);
        assert_eq!(slots(96, Some(27)), 26);
        assert_eq!(slots(2, Some(1)), 1);
    }

    #[test]
    fn attachments_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        assert_eq!(attach_limit(sys), None);
        let disk = |name: &str, model: &str| {
            fs::create_dir_all(sys.join("block").join(name).join("device")).unwrap();
            fs::write(sys.join("block").join(name).join("device/model"), model).unwrap();
        };
        disk("nvme0n1", "Amazon Elastic Block Store              \n");
        disk("nvme1n1", "Amazon EC2 NVMe Instance Storage        \n");
        fs::create_dir_all(sys.join("devices/pci0/net/ens5")).unwrap();
        fs::create_dir_all(sys.join("class/net/ens5")).unwrap();
        fs::create_dir_all(sys.join("class/net/lo")).unwrap();
        std::os::unix::fs::symlink(sys.join("devices/pci0"), sys.join("class/net/ens5/device")).unwrap();
        assert_eq!(attach_limit(sys), Some(26));
    }
}
