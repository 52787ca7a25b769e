//! Removes what a killed agent left. Its mounts and processes have ended with it, but its cgroup and its job directory
//! may still exist.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{cgroup::Cgroup, job_dir::JobDir};

/// Something that a killed agent left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// A process of the build, in its cgroup.
    Process {
        /// Its pid on the host.
        pid: i32,
        /// Its name, as in `/proc/<pid>/comm`.
        name: String,
    },
    /// The cgroup of a build.
    Cgroup(PathBuf),
    /// The directory of a job.
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

/// A leftover that could not be read or removed.
#[derive(Debug, thiserror::Error)]
#[error("removing {} of a killed agent", path.display())]
pub struct RecoverError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Returns what [`recover()`] would remove now. Changes nothing.
///
/// # Errors
/// [`RecoverError`] with the first thing that could not be read.
pub fn leftovers(run_dir: &Path) -> Result<Vec<Leftover>, RecoverError> {
    let jobs = killed_jobs(run_dir, JobDir::inspect)?;
    Ok(jobs.iter().flat_map(leftovers_of).collect())
}

/// Removes what killed agents left, and returns it. Running jobs are not touched.
///
/// # Errors
/// [`RecoverError`] with the first thing that could not be removed.
pub fn recover(run_dir: &Path) -> Result<Vec<Leftover>, RecoverError> {
    let mut removed = Vec::new();
    for dir in killed_jobs(run_dir, JobDir::take_over)? {
        removed.extend(remove_leftovers(dir)?);
    }
    Ok(removed)
}

/// Removes what one job left, and returns it.
pub(crate) fn remove_leftovers(dir: JobDir) -> Result<Vec<Leftover>, RecoverError> {
    let mut removed = Vec::new();
    for leftover in leftovers_of(&dir) {
        match &leftover {
            // Processes are killed together with their cgroup; the directory is removed last.
            Leftover::Process { .. } | Leftover::JobDirectory(_) => {}
            Leftover::Cgroup(path) => Cgroup::existing(path.clone()).remove().map_err(error_at(path))?,
        }
        removed.push(leftover);
    }
    let path = dir.path.clone();
    dir.remove().map_err(error_at(&path))?;
    Ok(removed)
}

/// Turns an I/O error into one that names this path.
pub(crate) fn error_at(path: &Path) -> impl FnOnce(io::Error) -> RecoverError {
    let path = path.to_owned();
    move |source| RecoverError { path, source }
}

/// Returns the directories of the jobs whose agents are dead.
fn killed_jobs(
    run_dir: &Path,
    open: impl Fn(&Path) -> io::Result<Option<JobDir>>,
) -> Result<Vec<JobDir>, RecoverError> {
    let entries = match fs::read_dir(run_dir) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error_at(run_dir)(source)),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| open(&path).map_err(error_at(&path)).transpose()).collect()
}

/// Returns what one job left, in the order in which it can be removed.
fn leftovers_of(dir: &JobDir) -> Vec<Leftover> {
    let mut found = Vec::new();
    if let Some(group) = dir.cgroup().filter(|path| path.is_dir()) {
        for pid in Cgroup::existing(group.clone()).processes() {
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
