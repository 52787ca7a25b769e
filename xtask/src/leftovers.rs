//! What tests must not leave on the machine: loop devices, mounts, cgroups and processes.

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

/// A part of the name of everything that bakehouse creates, and of the tests' temporary directory.
const MARK: &str = "bakehouse";

/// The default mount point of a template's image, as with Packer.
const MOUNTS: &str = "/mnt/packer-amazon-chroot-volumes/";

/// How long the kernel may take to let go of what was ended a moment ago.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns what exists now, one line each.
pub(crate) fn look(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for device in children(&root.join("sys/block")) {
        let file = fs::read_to_string(root.join("sys/block").join(&device).join("loop/backing_file"));
        if let Ok(file) = file
            && file.contains(MARK)
        {
            found.insert(format!("loop device /dev/{device} of {}", file.trim()));
        }
    }
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    for line in mounts.lines().filter(|line| line.contains(MARK) || line.contains(MOUNTS)) {
        // The fifth field is the mount point (proc_pid_mountinfo(5)).
        found.insert(format!("mount {}", line.split(' ').nth(4).unwrap_or(line)));
    }
    groups(&root.join("sys/fs/cgroup"), 4, &mut found);
    for process in children(&root.join("proc")) {
        if !process.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let name = fs::read_to_string(root.join("proc").join(&process).join("comm")).unwrap_or_default();
        if name.starts_with(MARK) {
            found.insert(format!("process {process} ({})", name.trim()));
        }
    }
    found
}

/// Returns what exists now and was not in `before`, after the kernel had time to clean up.
pub(crate) fn since(before: &BTreeSet<String>) -> BTreeSet<String> {
    let step = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    loop {
        let left: BTreeSet<String> = look(Path::new("/")).difference(before).cloned().collect();
        if left.is_empty() || waited >= PATIENCE {
            return left;
        }
        thread::sleep(step);
        waited += step;
    }
}

fn groups(directory: &Path, depth: u32, found: &mut BTreeSet<String>) {
    for name in children(directory) {
        let path = directory.join(&name);
        // Files stand beside the groups; a link would lead out.
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            continue;
        }
        if name.starts_with(MARK) {
            found.insert(format!("cgroup {}", path.display()));
        }
        if depth > 0 {
            groups(&path, depth - 1, found);
        }
    }
}

fn children(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_kind_and_nothing_else() {
        let root = std::env::temp_dir().join(format!("xtask-leftovers-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/block/loop0/loop/backing_file", "/var/lib/bakehouse/vol-1.raw\n");
        write("sys/block/loop1/loop/backing_file", "/var/lib/snapd/core.snap\n");
        write("sys/block/sda/size", "1\n");
        write(
            "proc/self/mountinfo",
            "36 35 98:0 / /mnt/bakehouse/b-1 rw - ext4 /dev/loop0 rw\n37 35 7:0 / /mnt/packer-amazon-chroot-volumes/loop0 rw - ext4 /dev/loop0 rw\n38 35 98:1 / /home rw - ext4 /dev/sda1 rw\n",
        );
        write("sys/fs/cgroup/system.slice/bakehouse-b-1/cgroup.procs", "");
        write("sys/fs/cgroup/system.slice/ssh.service/cgroup.procs", "");
        write("proc/12/comm", "bakehouse\n");
        write("proc/13/comm", "bash\n");
        let found = look(&root);
        fs::remove_dir_all(&root).unwrap();
        let group = root.join("sys/fs/cgroup/system.slice/bakehouse-b-1");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [
                format!("cgroup {}", group.display()),
                "loop device /dev/loop0 of /var/lib/bakehouse/vol-1.raw".to_owned(),
                "mount /mnt/bakehouse/b-1".to_owned(),
                "mount /mnt/packer-amazon-chroot-volumes/loop0".to_owned(),
                "process 12 (bakehouse)".to_owned(),
            ]
        );
    }
}
