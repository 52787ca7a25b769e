//! The phase *find*: waits for the disk of the job's volume. The disk is found by the volume's id, never by a device
//! name.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_protocol::{AgentPhase, Proof, VolumeId};

use crate::{
    Settings,
    context::Context,
    error::{Aborted, ErrorContext, JobError},
    host::Disk,
    job_dir,
};

/// The model that Nitro's NVMe controllers report for an EBS volume.
const MODEL: &str = "Amazon Elastic Block Store";
/// How often the disk is looked for. NVMe disks appear in sysfs, for which there are no inotify events.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The disk has been found and checked, and this job has it locked.
pub(crate) struct Found<'a> {
    pub(crate) cx: &'a Context<'a>,
    pub(crate) disk: Disk,
}

/// Waits for the disk and checks that it is the right one.
pub(crate) fn find<'a>(cx: &'a Context<'a>) -> Result<Found<'a>, Aborted> {
    cx.report_phase(AgentPhase::Find);
    let aborted = |error| Aborted::new(AgentPhase::Find, None, error);
    let disk = wait_for_disk(cx).map_err(aborted)?;
    let found = Found { cx, disk };
    match check_disk(&found) {
        Ok(()) => Ok(found),
        Err(error) => Err(found.undo(aborted(error), Vec::new())),
    }
}

impl Found<'_> {
    /// Returns the proof that the disk is free.
    pub(crate) fn proof(&self, filesystem: &str, killed: Vec<String>) -> Proof {
        Proof { device: self.disk.path.display().to_string(), filesystem: filesystem.to_owned(), killed }
    }

    /// Undoes this phase: adds the proof that the disk is free to an aborted job.
    pub(crate) fn undo(self, aborted: Aborted, killed: Vec<String>) -> Aborted {
        match self.cx.host.prove_free(&self.disk) {
            Ok(()) => aborted.with_proof(self.proof("", killed)),
            Err(source) => {
                let operation = format!("making sure that {} is free", self.disk.path.display());
                aborted.with_cleanup_error(AgentPhase::Unmount, JobError::Io { operation, source })
            }
        }
    }
}

fn wait_for_disk(cx: &Context<'_>) -> Result<Disk, JobError> {
    let Context { host, job, settings, .. } = cx;
    let deadline = Instant::now() + Duration::from(job.disk_deadline);
    loop {
        cx.check_cancelled()?;
        let mut not_ready = None;
        if let Some(path) = find_device(settings, &job.volume) {
            let operation = || format!("opening {} ({}) for this job", path.display(), job.volume);
            // For the supervisor: if this process is killed, it checks whether that disk is free.
            job_dir::record_device(cx.job_dir, &path).context(operation)?;
            match host.open_disk(&path).context(operation) {
                Ok(disk) => return Ok(disk),
                // The link exists before the device node, or another process has locked the disk, perhaps only briefly.
                Err(JobError::Io { operation, source })
                    if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock) =>
                {
                    not_ready = Some(JobError::Io { operation, source });
                }
                Err(error) => return Err(error),
            }
        }
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(not_ready.unwrap_or_else(|| not_found(cx)));
        }
        host.wait(rest.min(POLL_INTERVAL), &settings.by_id)
            .context(|| format!("waiting for the disk of {}", job.volume))?;
    }
}

fn not_found(cx: &Context<'_>) -> JobError {
    let links: Vec<_> =
        cx.settings.by_id.iter().map(|dir| dir.join(link_name(&cx.job.volume)).display().to_string()).collect();
    let serials = cx.settings.sys_root.join("sys/block/*/device/serial");
    JobError::with_hint(
        format!(
            "the disk of {} did not appear within {}; looked for it at {} and by its serial number in {}",
            cx.job.volume,
            cx.job.disk_deadline,
            links.join(", "),
            serials.display()
        ),
        "check that the volume is attached to this host, and that the host has a free slot for it",
    )
}

fn link_name(volume: &VolumeId) -> String {
    format!("nvme-Amazon_Elastic_Block_Store_{}", volume.as_str().replacen('-', "", 1))
}

/// Returns the device of a volume, if it exists now: by a link in one of the directories, or by the serial number of an
/// NVMe disk.
pub(crate) fn find_device(settings: &Settings, volume: &VolumeId) -> Option<PathBuf> {
    let link = link_name(volume);
    let linked = settings.by_id.iter().find_map(|dir| fs::canonicalize(dir.join(&link)).ok());
    linked.or_else(|| by_serial(&settings.sys_root, volume))
}

fn by_serial(sys_root: &Path, volume: &VolumeId) -> Option<PathBuf> {
    let wanted = volume.as_str().replacen('-', "", 1);
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    fs::read_dir(sys_root.join("sys/block")).ok()?.flatten().find_map(|entry| {
        let device = entry.path().join("device");
        // Nitro reports the volume id without its dash, some older hosts with it.
        let serial = read(device.join("serial")).replacen('-', "", 1);
        (serial == wanted && read(device.join("model")) == MODEL).then(|| Path::new("/dev").join(entry.file_name()))
    })
}

fn check_disk(found: &Found<'_>) -> Result<(), JobError> {
    let Found { cx, disk } = found;
    let name = disk.path.display();
    let wanted = u64::from(cx.job.volume_size) << 30;
    if disk.size != wanted {
        return Err(JobError::new(format!(
            "{name} is not {}: it has {} bytes, and the volume has {} GiB ({wanted} bytes)",
            cx.job.volume, disk.size, cx.job.volume_size
        )));
    }
    if disk.read_only {
        return Err(JobError::new(format!("{name} ({}) is write-protected", cx.job.volume)));
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
        assert_eq!(find_device(&settings, &volume), None);
        device("nvme0n1", "vol0ffffffffffffffff", "Amazon Elastic Block Store              \n");
        device("nvme1n1", "vol0123456789abcdef0", "Amazon EC2 NVMe Instance Storage\n");
        assert_eq!(find_device(&settings, &volume), None);
        device("nvme2n1", "vol0123456789abcdef0\n", "Amazon Elastic Block Store              \n");
        assert_eq!(find_device(&settings, &volume), Some("/dev/nvme2n1".into()));
        fs::create_dir(dir.path().join("by-id")).unwrap();
        let link = dir.path().join("by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0");
        std::os::unix::fs::symlink("/dev/null", link).unwrap();
        assert_eq!(find_device(&settings, &volume), Some("/dev/null".into()));
    }
}
