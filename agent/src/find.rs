//! Finding the disk by its volume id, never by a name.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_protocol::{AgentPhase, Proof, VolumeId};

use crate::{
    Settings,
    context::Context,
    error::{Doing, EarlyEnd, JobError},
    host::Disk,
    rundir,
};

/// What Nitro's NVMe controllers call an EBS volume.
const MODEL: &str = "Amazon Elastic Block Store";
/// Between two looks when nothing tells of a change. NVMe disks appear in sysfs, which inotify does not watch.
const LOOK: Duration = Duration::from_millis(250);

/// The disk is there, it is the right one, and it is ours alone.
pub(crate) struct Found<'a> {
    pub(crate) cx: &'a Context<'a>,
    pub(crate) disk: Disk,
}

/// Waits for the disk.
pub(crate) fn find<'a>(cx: &'a Context<'a>) -> Result<Found<'a>, EarlyEnd> {
    cx.phase(AgentPhase::Find);
    let early = |error| EarlyEnd::new(AgentPhase::Find, None, error);
    let disk = wait(cx).map_err(early)?;
    let found = Found { cx, disk };
    match check(&found) {
        Ok(()) => Ok(found),
        Err(error) => Err(found.undo(early(error), Vec::new())),
    }
}

impl Found<'_> {
    pub(crate) fn proof(&self, filesystem: &str, killed: Vec<String>) -> Proof {
        Proof { device: self.disk.path.display().to_string(), filesystem: filesystem.to_owned(), killed }
    }

    /// The way out: makes sure that the disk is free.
    pub(crate) fn undo(self, early: EarlyEnd, killed: Vec<String>) -> EarlyEnd {
        match self.cx.host.prove_free(&self.disk) {
            Ok(()) => early.with(self.proof("", killed)),
            Err(source) => {
                let doing = format!("making sure that {} is free", self.disk.path.display());
                early.and(AgentPhase::Unmount, JobError::Io { doing, source })
            }
        }
    }
}

fn wait(cx: &Context<'_>) -> Result<Disk, JobError> {
    let Context { host, job, settings, .. } = cx;
    let deadline = Instant::now() + Duration::from(job.disk_deadline);
    loop {
        cx.check_cancelled()?;
        let mut refused = None;
        if let Some(path) = look(settings, &job.volume) {
            let taking = || format!("taking {} ({}) for this job", path.display(), job.volume);
            // For the keeper: should this process be killed, it looks whether that disk is free.
            rundir::remember_device(cx.dir, &path).doing(taking)?;
            match host.open_disk(&path).doing(taking) {
                Ok(disk) => return Ok(disk),
                // Linked, but the node is not there yet; or another process has locked it, maybe not for long.
                Err(JobError::Io { doing, source })
                    if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock) =>
                {
                    refused = Some(JobError::Io { doing, source });
                }
                Err(error) => return Err(error),
            }
        }
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(refused.unwrap_or_else(|| missing(cx)));
        }
        host.wait(rest.min(LOOK), &settings.by_id).doing(|| format!("waiting for the disk of {}", job.volume))?;
    }
}

fn missing(cx: &Context<'_>) -> JobError {
    let links: Vec<_> =
        cx.settings.by_id.iter().map(|dir| dir.join(link_name(&cx.job.volume)).display().to_string()).collect();
    let serials = cx.settings.sys_root.join("sys/block/*/device/serial");
    JobError::hinted(
        format!(
            "the disk of {} did not appear within {}; looked for it at {} and by its serial number in {}",
            cx.job.volume,
            cx.job.disk_deadline,
            links.join(", "),
            serials.display()
        ),
        "see whether the volume is attached to this host, and that the host has a free slot for it",
    )
}

fn link_name(volume: &VolumeId) -> String {
    format!("nvme-Amazon_Elastic_Block_Store_{}", volume.as_str().replacen('-', "", 1))
}

/// One look: a link in one of the directories, or the serial number of an NVMe disk.
pub(crate) fn look(settings: &Settings, volume: &VolumeId) -> Option<PathBuf> {
    let link = link_name(volume);
    let linked = settings.by_id.iter().find_map(|dir| fs::canonicalize(dir.join(&link)).ok());
    linked.or_else(|| by_serial(&settings.sys_root, volume))
}

fn by_serial(sys_root: &Path, volume: &VolumeId) -> Option<PathBuf> {
    let wanted = volume.as_str().replacen('-', "", 1);
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    fs::read_dir(sys_root.join("sys/block")).ok()?.flatten().find_map(|entry| {
        let device = entry.path().join("device");
        // The dash is missing in what Nitro says and is there on some older hosts.
        let serial = read(device.join("serial")).replacen('-', "", 1);
        (serial == wanted && read(device.join("model")) == MODEL).then(|| Path::new("/dev").join(entry.file_name()))
    })
}

fn check(found: &Found<'_>) -> Result<(), JobError> {
    let Found { cx, disk } = found;
    let name = disk.path.display();
    let wanted = u64::from(cx.job.volume_size) << 30;
    if disk.size != wanted {
        return Err(JobError::wrong(format!(
            "{name} is not {}: it has {} bytes, and the volume has {} GiB ({wanted} bytes)",
            cx.job.volume, disk.size, cx.job.volume_size
        )));
    }
    if disk.read_only {
        return Err(JobError::wrong(format!("{name} ({}) is write-protected", cx.job.volume)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::HostId;

    #[test]
    fn a_volume_is_found_by_serial_and_model_or_by_link() {
        let dir = tempfile::tempdir().unwrap();
        let volume = VolumeId::new("vol-0123456789abcdef0").unwrap();
        let mut settings = Settings::new(HostId::new("h").unwrap());
        settings.sys_root = dir.path().into();
        settings.by_id = vec![dir.path().join("by-id")];
        let device = |name: &str, serial: &str, model: &str| {
            let device = dir.path().join("sys/block").join(name).join("device");
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("serial"), serial).unwrap();
            fs::write(device.join("model"), model).unwrap();
        };
        assert_eq!(look(&settings, &volume), None);
        device("nvme0n1", "vol0ffffffffffffffff", "Amazon Elastic Block Store              \n");
        device("nvme1n1", "vol0123456789abcdef0", "Amazon EC2 NVMe Instance Storage\n");
        assert_eq!(look(&settings, &volume), None);
        device("nvme2n1", "vol0123456789abcdef0\n", "Amazon Elastic Block Store              \n");
        assert_eq!(look(&settings, &volume), Some("/dev/nvme2n1".into()));
        fs::create_dir(dir.path().join("by-id")).unwrap();
        let link = dir.path().join("by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0");
        std::os::unix::fs::symlink("/dev/null", link).unwrap();
        assert_eq!(look(&settings, &volume), Some("/dev/null".into()));
    }
}
