//! The control group of a build: `<cgroup v2 mount>/<parent>/<build>`. It is where limits can be set, and by it the next
//! start finds what an agent that was killed might have left.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_disk::mountinfo;
use bakehouse_protocol::BuildId;

/// A control group that we made.
pub(crate) struct Cgroup {
    path: PathBuf,
}

/// Where the cgroup v2 tree is mounted: `/sys/fs/cgroup`, or below it where v1 is in use as well.
pub(crate) fn root() -> Option<PathBuf> {
    let mounts = mountinfo::parse(&fs::read("/proc/self/mountinfo").ok()?);
    mounts.into_iter().find(|mount| mount.kind == "cgroup2").map(|mount| mount.target)
}

impl Cgroup {
    pub(crate) fn make(root: &Path, parent: &str, build: &BuildId) -> io::Result<Self> {
        let path = root.join(parent).join(build.as_str());
        // Another build that ends just now may remove the parent between our making it and using it.
        for _ in 0..10 {
            match fs::create_dir_all(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                made => return made.map(|()| Self { path }),
            }
        }
        Err(io::Error::other(format!("{} keeps disappearing", path.display())))
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Open for writing a process's number, which moves it here.
    pub(crate) fn procs(&self) -> io::Result<OwnedFd> {
        Ok(fs::OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))?.into())
    }

    /// Kills what is in it and removes it, and its parent if that is now empty.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        // Linux 5.14 and newer; what is older has the loop below.
        let all_at_once = fs::write(self.path.join("cgroup.kill"), "1").is_ok();
        loop {
            if !all_at_once {
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
            // Fails, rightly, while another build is in it.
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }

    /// The processes in it, also in groups that were made inside.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let mut groups = vec![self.path.clone()];
        while let Some(group) = groups.pop() {
            let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            found.extend(procs.lines().filter_map(|pid| pid.parse::<i32>().ok()));
            let entered = fs::read_dir(&group).into_iter().flatten().flatten();
            groups.extend(entered.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        found
    }

    fn kill_each(&self) {
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// A provisioner may have made groups of its own inside.
fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
