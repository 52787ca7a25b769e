//! What is known of a job after its agent was killed: whether its volume is free all the same.

use std::{
    os::fd::AsFd as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use bakehouse_protocol::{BuildId, Proof, VolumeId};

use crate::{
    RecoverError, Settings, find,
    host::{host_proc, prove_free},
    recover,
    rundir::RunDir,
};

/// How long a killed job's processes may take to be gone: the kernel writes out what their mounts still hold.
const DYING: Duration = Duration::from_secs(60);

/// What became of the volume of a job whose agent was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeState {
    /// Nobody holds it. What is on it is worth nothing: whatever the job did was cut off.
    Free(Proof),
    /// Somebody does, or it could not be found out.
    Held(String),
}

/// Clears what a killed job left, as [`recover()`](crate::recover()) does for all, and looks whether its volume is free.
/// Waits for the end of its processes.
///
/// # Errors
/// [`RecoverError`] if something of it can't be removed.
pub fn check_volume(settings: &Settings, build: &BuildId, volume: &VolumeId) -> Result<VolumeState, RecoverError> {
    let path = settings.run_dir.join(build.as_str());
    let end = Instant::now() + DYING;
    let mut remembered = None;
    // A host that was started anew has no such directory any more, and nothing of the job.
    while path.is_dir() {
        match RunDir::take_over(&path).map_err(recover::at(&path))? {
            Some(dir) => {
                remembered = dir.device();
                recover::clear(dir)?;
                break;
            }
            None if Instant::now() >= end => {
                return Ok(VolumeState::Held("a process of the job is still there".to_owned()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    let Some(device) = find::look(settings, volume).or(remembered).filter(|device| device.exists()) else {
        return Ok(VolumeState::Free(proof(None)));
    };
    Ok(match host_proc().and_then(|proc| prove_free(proc.as_fd(), &device)) {
        Ok(()) => VolumeState::Free(proof(Some(device))),
        Err(error) => VolumeState::Held(format!("{}: {error}", device.display())),
    })
}

/// A proof from one who knows nothing but that the volume is free.
pub(crate) fn proof(device: Option<PathBuf>) -> Proof {
    let device = device.map(|device| device.display().to_string()).unwrap_or_default();
    Proof { device, filesystem: String::new(), killed: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::HostId;

    fn at(run_dir: PathBuf) -> (Settings, BuildId, VolumeId) {
        let mut settings = Settings::new(HostId::new("h").unwrap());
        (settings.sys_root, settings.by_id) = (run_dir.join("no-sys"), Vec::new());
        settings.run_dir = run_dir;
        (settings, BuildId::from_parts(1, 2), VolumeId::new("vol-01234567").unwrap())
    }

    #[test]
    fn of_a_job_that_took_no_disk_nothing_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, build, volume) = at(dir.path().to_owned());
        // After a reboot there is not even its directory.
        assert_eq!(check_volume(&settings, &build, &volume).unwrap(), VolumeState::Free(proof(None)));
        drop(RunDir::make(dir.path(), &build).unwrap());
        assert_eq!(check_volume(&settings, &build, &volume).unwrap(), VolumeState::Free(proof(None)));
        assert!(!dir.path().join(build.as_str()).exists());
    }

    #[test]
    fn a_job_whose_process_is_dying_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, build, volume) = at(dir.path().to_owned());
        let running = RunDir::make(dir.path(), &build).unwrap();
        let (begun, begins) = std::sync::mpsc::channel();
        let looking = std::thread::spawn(move || {
            begun.send(()).unwrap();
            check_volume(&settings, &build, &volume).unwrap()
        });
        begins.recv().unwrap();
        assert!(!looking.is_finished());
        drop(running);
        assert_eq!(looking.join().unwrap(), VolumeState::Free(proof(None)));
    }
}
