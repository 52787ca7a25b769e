//! The files that the steps of a build read, and their paths in the bundle.

use std::path::{Path, PathBuf};

use bakehouse_protocol::BuildSpec;

use crate::path::path_in_bundle;

/// A file that a template names is not in its bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template names {path}, which is not in its bundle")]
pub struct MissingFile {
    /// The path as the template has it.
    pub path: String,
}

/// Returns the files that the steps of these builds read, each once. They must be packed with the template.
pub fn source_files(builds: &[BuildSpec]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for build in builds {
        found.extend(build.source_files().map(|file| PathBuf::from(&file.path)));
    }
    found.sort();
    found.dedup();
    found
}

/// Replaces the path of every source file by its path in the bundle, relative to the directory that the bundle was
/// unpacked into, so that the job can run wherever it is unpacked again ([`bakehouse_protocol::Job::files`]).
///
/// # Errors
/// One of the files is not in the directory.
pub fn relocate(spec: &mut BuildSpec, dir: &Path) -> Result<(), MissingFile> {
    for file in spec.source_files_mut() {
        let found = path_in_bundle(Path::new(&file.path)).filter(|path| dir.join(path).exists());
        match found {
            Some(path) => file.path = path,
            None => return Err(MissingFile { path: file.written.clone() }),
        }
    }
    Ok(())
}
