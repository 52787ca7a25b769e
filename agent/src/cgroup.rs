//! The control group of a build: `<cgroup v2 mount>/<parent>/<build>`. Limits can be set on it, and through it
//! [`crate::recover()`] finds the processes that a killed agent may have left.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_disk::mountinfo;
use bakehouse_protocol::BuildId;

/// The control group of one build.
pub(crate) struct Cgroup {
    path: PathBuf,
}

/// Returns where the cgroup v2 hierarchy is mounted: `/sys/fs/cgroup`, or below it if v1 is in use as well.
pub(crate) fn mount_point() -> Option<PathBuf> {
    let mounts = mountinfo::parse(&fs::read("/proc/self/mountinfo").ok()?);
    mounts.into_iter().find(|mount| mount.kind == "cgroup2").map(|mount| mount.target)
}

impl Cgroup {
    /// Returns the path of a build's group.
    pub(crate) fn path_of(mount_point: &Path, parent: &str, build: &BuildId) -> PathBuf {
        mount_point.join(parent).join(build.as_str())
    }

    /// Creates the group at this path, and its parent. Moves no process into it.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        // Another build that is ending may remove the parent after we have created it and before we use it.
        for _ in 0..10 {
            match fs::create_dir_all(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => return result.map(|()| Self { path }),
            }
        }
        Err(io::Error::other(format!("{} keeps disappearing", path.display())))
    }

    /// Returns the group at this path, which exists already.
    pub(crate) fn existing(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens `cgroup.procs`: a process whose pid is written to it moves into the group.
    pub(crate) fn open_procs(&self) -> io::Result<OwnedFd> {
        Ok(fs::OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))?.into())
    }

    /// Kills the processes in the group and removes the group, and its parent if that is empty then.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        // Since Linux 5.14. On older kernels the loop kills one process after the other.
        let killed_all = fs::write(self.path.join("cgroup.kill"), "1").is_ok();
        loop {
            if !killed_all {
                self.kill_each();
            }
            match remove_tree(&self.path) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        if let Some(parent) = self.path.parent() {
            // Fails, as it should, while another build has a group in it.
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }

    /// Returns the pids of the processes in the group and in groups inside it.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let mut groups = vec![self.path.clone()];
        while let Some(group) = groups.pop() {
            let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            found.extend(procs.lines().filter_map(|pid| pid.parse::<i32>().ok()));
            let entries = fs::read_dir(&group).into_iter().flatten().flatten();
            groups.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        found
    }

    fn kill_each(&self) {
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// Removes a group and the groups that a step may have created inside it.
fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
