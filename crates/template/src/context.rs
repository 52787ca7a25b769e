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

impl Context {
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
