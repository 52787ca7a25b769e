//! What a template may know of the process and the machine that read it.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use bakehouse_protocol::Timestamp;

/// What a template may know of the process and the machine that read it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The start of the process: `timestamp`, `isotime`, `strftime`.
    pub now: Timestamp,
    /// The environment, for `env`.
    pub environment: BTreeMap<String, String>,
    /// Where relative paths begin; absolute. Also `pwd`.
    pub working_directory: PathBuf,
    /// Random; the n-th `uuid` follows from it.
    pub uuid_seed: u64,
    /// Where the files are looked for, `/` if empty: an unpacked bundle holds them under another directory. Values and
    /// messages speak of the paths without it.
    pub root: PathBuf,
}

impl Context {
    /// Where a file of the build host is looked for. Under another root, `..` is taken out first, for it could lead
    /// out of it.
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
