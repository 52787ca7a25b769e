//! Clearing what a killed agent left. Its mounts and processes ended with it; an empty cgroup and its directory may still
//! be there.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{cgroup::Cgroup, rundir::RunDir};

/// Something that an agent left when it was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// A process of the build, in its cgroup.
    Process {
        /// Its number on the host.
        pid: i32,
        /// The kernel's short name for what it runs.
        name: String,
    },
    /// A cgroup.
    Cgroup(PathBuf),
    /// A job's own directory.
    JobDirectory(PathBuf),
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "process {pid} ({name})"),
            Self::Cgroup(path) => write!(f, "cgroup {}", path.display()),
            Self::JobDirectory(path) => write!(f, "job directory {}", path.display()),
        }
    }
}

/// Something that could not be cleared.
#[derive(Debug, thiserror::Error)]
#[error("clearing {} of an agent that was killed", path.display())]
pub struct RecoverError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What [`recover`] would remove now. Nothing is changed.
///
/// # Errors
/// [`RecoverError`] if it could not be looked at.
pub fn leftovers(run_dir: &Path) -> Result<Vec<Leftover>, RecoverError> {
    let jobs = killed_jobs(run_dir, RunDir::look)?;
    Ok(jobs.iter().flat_map(of_job).collect())
}

/// Removes what agents that were killed left, and says what it was. Jobs that are running are left alone.
///
/// # Errors
/// [`RecoverError`] with the first thing that could not be removed.
pub fn recover(run_dir: &Path) -> Result<Vec<Leftover>, RecoverError> {
    let mut cleared = Vec::new();
    for dir in killed_jobs(run_dir, RunDir::take_over)? {
        cleared.extend(clear(dir)?);
    }
    Ok(cleared)
}

/// Removes what one job left, and says what it was.
pub(crate) fn clear(dir: RunDir) -> Result<Vec<Leftover>, RecoverError> {
    let mut cleared = Vec::new();
    for thing in of_job(&dir) {
        match &thing {
            // Goes with its cgroup, and its directory goes last.
            Leftover::Process { .. } | Leftover::JobDirectory(_) => {}
            Leftover::Cgroup(path) => Cgroup::at(path.clone()).remove().map_err(at(path))?,
        }
        cleared.push(thing);
    }
    let path = dir.path.clone();
    dir.remove().map_err(at(&path))?;
    Ok(cleared)
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> RecoverError {
    let path = path.to_owned();
    move |source| RecoverError { path, source }
}

/// The directories of jobs whose agents live no more.
fn killed_jobs(
    run_dir: &Path,
    take: impl Fn(&Path) -> io::Result<Option<RunDir>>,
) -> Result<Vec<RunDir>, RecoverError> {
    let entries = match fs::read_dir(run_dir) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(at(run_dir)(source)),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| take(&path).map_err(at(&path)).transpose()).collect()
}

/// What one job left, in the order in which it can be removed.
fn of_job(dir: &RunDir) -> Vec<Leftover> {
    let mut found = Vec::new();
    if let Some(group) = dir.cgroup().filter(|path| path.is_dir()) {
        for pid in Cgroup::at(group.clone()).processes() {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            found.push(Leftover::Process { pid, name: name.trim_end().to_owned() });
        }
        found.push(Leftover::Cgroup(group));
    }
    found.push(Leftover::JobDirectory(dir.path.clone()));
    found
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
