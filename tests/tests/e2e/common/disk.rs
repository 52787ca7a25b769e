//! A small disk to bake from, and a look into what was baked.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::requirements::which;

/// Where the root partition begins on the disks that are made here, in bytes.
pub(crate) const ROOT_OFFSET: u64 = 1 << 20;

/// How large the base disk is, in MiB.
const MIB: u64 = 64;

/// Runs a line of shell on the host; what it prints.
#[track_caller]
pub(crate) fn sh(line: &str) -> String {
    let output = Command::new("/bin/sh").args(["-ec", line]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory with a busybox in it that is a whole system.
pub(crate) fn base_tree(root: &Path) {
    for dir in ["bin", "etc", "tmp", "root", "var", "run", "proc", "sys", "dev", "usr/sbin", "opt"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    let busybox = which("busybox").unwrap();
    fs::copy(&busybox, root.join("bin/busybox")).unwrap();
    for applet in sh(&format!("{} --list", busybox.display())).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
}

/// Makes a disk with a GPT and one ext4 partition. `change` may add to what is in it.
pub(crate) fn base_disk(dir: &Path, raw: &Path, change: impl FnOnce(&Path)) {
    let (tree, part) = (dir.join("tree"), dir.join("part.img"));
    base_tree(&tree);
    change(&tree);
    let (raw, tree, part) = (raw.display(), tree.display(), part.display());
    // One MiB at each end for the tables.
    sh(&format!(
        "mkfs.ext4 -q -L root -d {tree} {part} {}M
        truncate -s {MIB}M {raw}
        printf 'label: gpt\\nstart=2048, size={}, type=L\\n' | sfdisk -q {raw}
        dd if={part} of={raw} bs=1M seek=1 conv=notrunc,sparse status=none
        rm -r {part} {tree}",
        MIB - 2,
        (MIB - 2) * 2048,
    ));
}

/// A copy of what is in the root file system of a raw disk, owners, modes and links included.
pub(crate) struct Inside {
    copy: TempDir,
}

impl Inside {
    /// Copies the whole, or only what `what` names in it.
    pub(crate) fn new(dir: &Path, disk: &Path, what: &str) -> Self {
        let copy = tempfile::Builder::new().prefix("inside-").tempdir_in(dir).unwrap();
        let (disk, to) = (disk.display(), copy.path().display());
        // Mounted where nobody else sees it: a mount that were there for all would be taken along into the namespaces
        // of the builds that other tests begin just then, and stay in use for as long as they run.
        sh(&format!(
            "unshare --mount --propagation private sh -ec '
                mkdir {to}/.disk
                mount -o loop,ro,offset={ROOT_OFFSET} {disk} {to}/.disk
                cd {to}/.disk
                cp -a --parents {what} {to}
                cd /
                umount {to}/.disk
                rmdir {to}/.disk'"
        ));
        Self { copy }
    }

    /// A path in it.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.copy.path().join(path.trim_start_matches('/'))
    }

    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}
