//! What a task needs besides Rust: system packages, found by looking for the program and installed with apt-get; for
//! the tests also the Python programs of [`python`].

use std::{collections::BTreeSet, path::Path, process::Command};

use crate::{
    python,
    sh::{self, Error, Result},
};

/// What the tools are for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// `cargo xtask demo`
    Demo,
    /// `cargo xtask test`
    Test,
    /// `cargo xtask bench`
    Bench,
}

struct Tool {
    program: &'static str,
    /// Debian's and Ubuntu's name of the package it is in.
    package: &'static str,
    why: &'static str,
    needed_by: &'static [Purpose],
}

use Purpose::{Bench, Demo, Test};

const TOOLS: &[Tool] = &[
    Tool { program: "mmdebstrap", package: "mmdebstrap", why: "fills the base image", needed_by: &[Demo, Test] },
    Tool { program: "sfdisk", package: "fdisk", why: "partitions disks", needed_by: &[Demo, Test] },
    Tool { program: "partx", package: "util-linux", why: "tells the kernel of partitions", needed_by: &[Demo, Test] },
    Tool { program: "losetup", package: "mount", why: "attaches disk files", needed_by: &[Test] },
    Tool { program: "mkfs.ext4", package: "e2fsprogs", why: "makes ext4", needed_by: &[Demo, Test, Bench] },
    Tool { program: "mkfs.xfs", package: "xfsprogs", why: "makes XFS", needed_by: &[Test] },
    Tool { program: "mkfs.btrfs", package: "btrfs-progs", why: "makes Btrfs", needed_by: &[Test] },
    Tool { program: "mksquashfs", package: "squashfs-tools", why: "makes what can't be a root", needed_by: &[Test] },
    Tool { program: "mkfs.vfat", package: "dosfstools", why: "makes what can't be a root", needed_by: &[Test] },
    Tool { program: "qemu-img", package: "qemu-utils", why: "reads and writes qcow2", needed_by: &[Test] },
    Tool { program: "busybox", package: "busybox-static", why: "fills small test images", needed_by: &[Test, Bench] },
    Tool { program: "packer", package: "packer", why: "bakes what we compare with", needed_by: &[Test] },
    Tool { program: "ansible-playbook", package: "ansible", why: "provisions test images", needed_by: &[Test] },
    Tool { program: "python3", package: "python3-venv", why: "runs the tests' tools", needed_by: &[Test] },
    Tool { program: "hyperfine", package: "hyperfine", why: "times whole commands", needed_by: &[Bench] },
];

impl Tool {
    fn is_there(&self) -> bool {
        match sh::which(self.program) {
            // The package `busybox` has one, too, that needs libraries which a test image lacks.
            Some(path) if self.package.ends_with("-static") => is_static(&path),
            // Debian has the module, but not all that it needs, in a package of its own.
            Some(path) if self.package.ends_with("-venv") => {
                sh::output(sh::command(path).args(["-c", "import ensurepip, venv"])).is_ok()
            }
            found => found.is_some(),
        }
    }
}

/// Whether the program names no dynamic loader.
fn is_static(program: &Path) -> bool {
    std::fs::read(program).is_ok_and(|bytes| !bytes.windows(6).any(|six| six == b"/ld-li"))
}

/// Installs what is missing and says so; says nothing more than a line if nothing is.
///
/// # Errors
/// `Unready` if something is missing that it may not or can't install. A failure of apt-get otherwise.
pub(crate) fn setup(purpose: Purpose) -> Result<()> {
    let system = packages(purpose);
    if purpose != Purpose::Test {
        return system;
    }
    // Needs no root: what can be had is had.
    let python = python::setup();
    system.and(python)
}

fn packages(purpose: Purpose) -> Result<()> {
    let (there, missing): (Vec<&Tool>, Vec<&Tool>) =
        TOOLS.iter().filter(|tool| tool.needed_by.contains(&purpose)).partition(|tool| tool.is_there());
    if missing.is_empty() {
        eprintln!("tools: all there ({})", names(&there));
        return Ok(());
    }
    for tool in &missing {
        eprintln!("tools: `{}` is missing ({}); it is in the package {}", tool.program, tool.why, tool.package);
    }
    let packages: BTreeSet<&str> = missing.iter().map(|tool| tool.package).collect();
    let list = packages.iter().copied().collect::<Vec<_>>().join(" ");
    if sh::which("apt-get").is_none() {
        return Err(Error::Unready(format!(
            "this machine has no apt-get: install {} with its own package manager (Debian calls the packages: {list})",
            names(&missing)
        )));
    }
    if !sh::is_root() {
        return Err(Error::Unready(format!(
            "only root may install packages. Run:\n    sudo apt-get update && sudo apt-get install -y {list}"
        )));
    }
    eprintln!("tools: installing {list}");
    install(&packages)?;
    let still: Vec<&Tool> = missing.into_iter().filter(|tool| !tool.is_there()).collect();
    if still.is_empty() {
        return Ok(());
    }
    Err(Error::Unready(format!("installed {list}, but there is still no {}", names(&still))))
}

/// Tries with the package lists as they are, and once more with new ones: they may be absent or too old. What can't be
/// had (not every distribution has everything) does not keep the others away.
fn install(packages: &BTreeSet<&str>) -> Result<()> {
    let install = |packages: &mut dyn Iterator<Item = &&str>| {
        sh::output(apt_get().args(["install", "--no-install-recommends"]).args(packages)).map(drop)
    };
    if install(&mut packages.iter()).is_ok() {
        return Ok(());
    }
    eprintln!("tools: fetching the package lists");
    sh::output(apt_get().arg("update"))?;
    let Err(error) = install(&mut packages.iter()) else {
        return Ok(());
    };
    if packages.len() == 1 {
        return Err(error);
    }
    for package in packages {
        if let Err(error) = install(&mut std::iter::once(package)) {
            eprintln!("tools: {error}");
        }
    }
    Ok(())
}

fn apt_get() -> Command {
    let mut command = sh::command("apt-get");
    // A fresh cloud machine updates itself in the background: wait for it.
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-y", "-q", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

fn names(tools: &[&Tool]) -> String {
    tools.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_there_or_not() {
        let shell = Tool { program: "sh", package: "dash", why: "", needed_by: &[] };
        assert!(shell.is_there());
        assert!(!Tool { program: "no-such-program", ..shell }.is_there());
        // A shell is linked to libc, so it does not count where a static program is asked for.
        assert!(!Tool { program: "sh", package: "dash-static", why: "", needed_by: &[] }.is_there());
    }
}
