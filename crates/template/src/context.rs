//! What a template may know of the process and the machine that read it.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use bakehouse_protocol::{Timestamp, splitmix64};

/// What a template may know of the process and the machine that read it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The start of the process: `timestamp`, `isotime`, `strftime`.
    pub now: Timestamp,
    /// The environment variables, for `env`.
    pub environment: BTreeMap<String, String>,
    /// The directory that relative paths are resolved against, and the value of `pwd`; absolute.
    pub working_directory: PathBuf,
    /// The random seed of `uuid`.
    pub uuid_seed: u64,
    /// The directory under which files are opened, `/` if empty: an unpacked bundle has them under a directory of its
    /// own. Values and messages have the paths without it.
    pub root: PathBuf,
}

/// The random number of [`Context::run_uuid`]; those of `uuid` begin at 0.
const RUN: u64 = 1 << 63;

impl Context {
    /// Returns the id of this run: `build "PackerRunUUID"`, and a manifest's `packer_run_uuid`.
    pub fn run_uuid(&self) -> String {
        self.uuid(RUN)
    }

    /// Returns a UUID in Packer's form: the seconds of the time, then random digits; not one of RFC 9562. `n` is that
    /// of the first of two random numbers.
    pub(crate) fn uuid(&self, n: u64) -> String {
        let (first, second) = (splitmix64::nth(self.uuid_seed, n), splitmix64::nth(self.uuid_seed, n.wrapping_add(1)));
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (self.now.0 / 1000) & 0xffff_ffff,
            first >> 48,
            (first >> 32) & 0xffff,
            (first >> 16) & 0xffff,
            second >> 16
        )
    }

    /// Returns the path to open for a file of the build host. Under another root, `..` is resolved first, so that it
    /// can't lead out of the root.
    pub(crate) fn on_disk(&self, path: &Path) -> PathBuf {
        if self.root.as_os_str().is_empty() || self.root == Path::new("/") {
            return path.to_owned();
        }
        let mut inside = PathBuf::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => inside.push(name),
                Component::ParentDir => {
                    inside.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        self.root.join(inside)
    }
}
