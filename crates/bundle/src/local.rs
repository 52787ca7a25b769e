//! From the paths of a loaded template to paths inside the bundle.

use std::path::{Path, PathBuf};

use bakehouse_protocol::BuildSpec;

use crate::entry_path;

/// A template names a file that its bundle does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template names {path}, which is not in its bundle")]
pub struct Absent {
    /// The path as the template writes it.
    pub path: String,
}

/// The files that the steps of these builds read, each once: what must be packed beside the template.
pub fn sources(builds: &[BuildSpec]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for build in builds {
        found.extend(build.clone().source_files_mut().map(|file| PathBuf::from(&file.path)));
    }
    found.sort();
    found.dedup();
    found
}

/// Where a path of the machine where the bundle was made is inside it. `None` if it is the root itself.
pub fn local_path(path: &Path) -> Option<String> {
    entry_path::inside(path)
}

/// Makes every path of a source file one inside the bundle, relative to the directory into which it was unpacked, so
/// that the job can be done wherever it is unpacked again ([`bakehouse_protocol::Job::files`]).
///
/// # Errors
/// The directory does not hold one of them.
pub fn localise(spec: &mut BuildSpec, dir: &Path) -> Result<(), Absent> {
    for file in spec.source_files_mut() {
        let found = entry_path::inside(Path::new(&file.path)).filter(|path| dir.join(path).exists());
        match found {
            Some(path) => file.path = path,
            None => return Err(Absent { path: file.written.clone() }),
        }
    }
    Ok(())
}
