//! What a test of whole builds needs of this machine.

use std::path::{Path, PathBuf};

/// The host programs without which no such test can run.
const TOOLS: [&str; 5] = ["busybox", "mkfs.ext4", "sfdisk", "unshare", "mount"];

/// Returns where a program of the host is.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().map(|dir| Path::new(dir).join(program)).find(|path| path.exists())
}

/// Returns whether a test can run here. If not, a line says why.
pub(crate) fn are_met(test: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP {test}: needs root");
        return false;
    }
    if let Some(tool) = TOOLS.iter().find(|tool| which(tool).is_none()) {
        println!("SKIP {test}: there is no {tool}");
        return false;
    }
    true
}
