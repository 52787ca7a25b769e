//! Checks whether the volume of a job whose agent was killed is free.

use std::{
    os::fd::AsFd as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use bakehouse_protocol::{BuildId, Proof, VolumeId};

use crate::{
    RecoverError, Settings, find,
    host::{open_proc, prove_free},
    job_dir::JobDir,
    recover,
};

/// How long the processes of a killed job may take to end: the kernel first writes out the data of their mounts.
const EXIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether a volume is free after its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeCheck {
    /// Nothing uses it, and everything that was written is on the disk. Unless the job was done, its content is
    /// incomplete.
    Free(Proof),
    /// Something uses it, or that could not be checked: what was found.
    InUse(String),
}

/// Removes what a killed job left, as [`recover()`](crate::recover()) does for all jobs, and checks whether its volume
/// is free. Waits for the end of its processes.
///
/// # Errors
/// [`RecoverError`] if something can't be removed.
pub fn check_volume(settings: &Settings, build: &BuildId, volume: &VolumeId) -> Result<VolumeCheck, RecoverError> {
    let path = settings.run_dir.join(build.as_str());
    let end = Instant::now() + EXIT_TIMEOUT;
    let mut recorded = None;
    // After a reboot there is no such directory, and nothing of the job.
    while path.is_dir() {
        match JobDir::take_over(&path).map_err(recover::error_at(&path))? {
            Some(dir) => {
                recorded = dir.device();
                recover::remove_leftovers(dir)?;
                break;
            }
            None if Instant::now() >= end => {
                return Ok(VolumeCheck::InUse("a process of the job is still running".to_owned()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    let Some(device) = find::find_device(settings, volume).or(recorded).filter(|device| device.exists()) else {
        return Ok(VolumeCheck::Free(proof(None)));
    };
    Ok(match open_proc().and_then(|proc| prove_free(proc.as_fd(), &device)) {
        Ok(()) => VolumeCheck::Free(proof(Some(device))),
        Err(error) => VolumeCheck::InUse(format!("{}: {error}", device.display())),
    })
}

/// Returns a proof that says only that the volume is free.
pub(crate) fn proof(device: Option<PathBuf>) -> Proof {
    let device = device.map(|device| device.display().to_string()).unwrap_or_default();
    Proof { device, filesystem: String::new(), killed: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::HostId;

    fn settings_for(run_dir: PathBuf) -> (Settings, BuildId, VolumeId) {
        let mut settings = Settings::new(HostId::new("h").unwrap());
        (settings.sys_root, settings.by_id) = (run_dir.join("no-sys"), Vec::new());
        settings.run_dir = run_dir;
        (settings, BuildId::from_parts(1, 2), VolumeId::new("vol-01234567").unwrap())
    }

    #[test]
    fn the_volume_of_a_job_that_opened_no_disk_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, build, volume) = settings_for(dir.path().to_owned());
        // After a reboot not even the job's directory exists.
        assert_eq!(check_volume(&settings, &build, &volume).unwrap(), VolumeCheck::Free(proof(None)));
        drop(JobDir::create(dir.path(), &build).unwrap());
        assert_eq!(check_volume(&settings, &build, &volume).unwrap(), VolumeCheck::Free(proof(None)));
        assert!(!dir.path().join(build.as_str()).exists());
    }

    #[test]
    fn the_check_waits_for_the_end_of_the_jobs_process() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, build, volume) = settings_for(dir.path().to_owned());
        let running = JobDir::create(dir.path(), &build).unwrap();
        let (begun, begins) = std::sync::mpsc::channel();
        let check = std::thread::spawn(move || {
            begun.send(()).unwrap();
            check_volume(&settings, &build, &volume).unwrap()
        });
        begins.recv().unwrap();
        assert!(!check.is_finished());
        drop(running);
        assert_eq!(check.join().unwrap(), VolumeCheck::Free(proof(None)));
    }
}
