//! Control groups of a test.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Ends the processes in a control group, and removes it.
pub(crate) fn remove_cgroup(name: &str) {
    fn remove(group: &Path) {
        for entry in fs::read_dir(group).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                remove(&entry.path());
            }
        }
        let began = Instant::now();
        // The kernel takes its time to let go of what was killed.
        while fs::remove_dir(group).is_err() && began.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(20));
        }
    }
    for mount in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
        let group = Path::new(mount).join(name);
        if group.join("cgroup.kill").exists() {
            let _ = fs::write(group.join("cgroup.kill"), "1");
            remove(&group);
        }
    }
}
