//! Saves which jobs were started and how they ended, in one file for each build, replaced atomically. A job is saved
//! before it starts and its end before it is reported, so that the next run of a killed daemon knows what to report.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bakehouse_protocol::{BuildId, Job, Millis, Outcome, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};

/// How long a reported end is kept: SQS keeps a message for four days by default.
pub const RETENTION: Millis = Millis::minutes(4 * 24 * 60);

/// The identity of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobIds {
    /// The build.
    pub build: BuildId,
    /// Its attempt.
    pub attempt: u32,
    /// Its volume.
    pub volume: VolumeId,
}

impl JobIds {
    /// Returns the identity of a job.
    pub fn of(job: &Job) -> Self {
        Self { build: job.build.clone(), attempt: job.attempt, volume: job.volume.clone() }
    }
}

/// The latest job of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`VERSION`] of the writer.
    pub bakehouse: u16,
    /// The job.
    #[serde(flatten)]
    pub ids: JobIds,
    /// When this was written.
    pub at: Timestamp,
    /// Its outcome, if it has ended.
    pub ended: Option<Outcome>,
    /// Whether its end is in the inbox.
    #[serde(rename = "told")]
    pub reported: bool,
}

/// The version of the entries.
pub const VERSION: u16 = 1;

/// The file extension of an entry while it is written.
const TEMPORARY: &str = "new";

/// The directory of the entries.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// Keeps old entries from being removed while one is written.
    lock: Mutex<()>,
}

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {path}: {source}")]
pub struct JournalError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError { doing, path, source }
}

impl Journal {
    /// Opens the journal: creates the directory if it is missing, and removes incomplete writes.
    ///
    /// # Errors
    /// The directory can't be created or read.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("making", dir))?;
        for file in fs::read_dir(dir).map_err(failed("reading", dir))? {
            let path = file.map_err(failed("reading", dir))?.path();
            if path.extension().is_some_and(|extension| extension == TEMPORARY) {
                fs::remove_file(&path).map_err(failed("removing", &path))?;
            }
        }
        Ok(Self { dir: dir.to_owned(), lock: Mutex::default() })
    }

    /// Saves that a job starts.
    ///
    /// # Errors
    /// It can't be written.
    pub fn begin(&self, ids: &JobIds, at: Timestamp) -> Result<(), JournalError> {
        self.write(&Entry { bakehouse: VERSION, ids: ids.clone(), at, ended: None, reported: false })
    }

    /// Saves how a job ended, and whether that is reported.
    ///
    /// # Errors
    /// It can't be written.
    pub fn end(&self, ids: &JobIds, outcome: &Outcome, reported: bool, at: Timestamp) -> Result<(), JournalError> {
        self.write(&Entry { bakehouse: VERSION, ids: ids.clone(), at, ended: Some(outcome.clone()), reported })
    }

    /// Returns the entry of a build.
    pub fn entry(&self, build: &BuildId) -> Option<Entry> {
        read(&self.path(build)).ok()
    }

    /// Returns all entries, and the paths of unreadable ones, which are kept. Removes reported entries that are too
    /// old.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn all(&self, now: Timestamp) -> Result<(Vec<Entry>, Vec<PathBuf>), JournalError> {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        let reading = || failed("reading", &self.dir);
        for file in fs::read_dir(&self.dir).map_err(reading())? {
            let path = file.map_err(reading())?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(entry) if entry.reported && now >= entry.at + RETENTION => {
                    fs::remove_file(&path).map_err(failed("removing", &path))?;
                }
                Ok(entry) => entries.push(entry),
                Err(_) => unreadable.push(path),
            }
        }
        entries.sort_by(|a, b| a.ids.build.cmp(&b.ids.build));
        Ok((entries, unreadable))
    }

    fn path(&self, build: &BuildId) -> PathBuf {
        self.dir.join(format!("{build}.json"))
    }

    fn write(&self, entry: &Entry) -> Result<(), JournalError> {
        let path = self.path(&entry.ids.build);
        let temporary = path.with_extension(TEMPORARY);
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // The end of an attempt may be reported when a later one has started already: that one is kept.
        if read(&path).is_ok_and(|present| present.ids.attempt > entry.ids.attempt) {
            return Ok(());
        }
        let written = (|| {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(entry)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.dir)?.sync_all()
        })();
        written.map_err(failed("writing", &path))
    }
}

fn read(path: &Path) -> io::Result<Entry> {
    let entry: Entry = serde_json::from_slice(&fs::read(path)?)?;
    if entry.bakehouse != VERSION {
        return Err(io::Error::other("another version"));
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(number: u32) -> JobIds {
        let volume = VolumeId::new("vol-01234567").unwrap();
        JobIds { build: BuildId::from_parts(1, number), attempt: 2, volume }
    }

    #[test]
    fn entries_are_read_back_by_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/jobs");
        let journal = Journal::open(&path).unwrap();
        let lost = Outcome::Lost { why: "x".into(), proof: None };
        journal.begin(&ids(1), Timestamp(10)).unwrap();
        journal.begin(&ids(2), Timestamp(10)).unwrap();
        journal.end(&ids(2), &lost, false, Timestamp(20)).unwrap();
        fs::write(path.join("b-3.new"), "{\"cut\": ").unwrap();
        fs::write(path.join("b-4.json"), "{}").unwrap();
        let (entries, unreadable) = Journal::open(&path).unwrap().all(Timestamp(30)).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0], Entry { bakehouse: 1, ids: ids(1), at: Timestamp(10), ended: None, reported: false });
        assert_eq!(entries[1].ended, Some(lost));
        assert_eq!(unreadable, [path.join("b-4.json")]);
        assert!(!path.join("b-3.new").exists());
        assert_eq!(journal.entry(&ids(1).build).unwrap().ids, ids(1));
    }

    #[test]
    fn a_late_end_of_an_earlier_attempt_keeps_the_later_one() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let lost = Outcome::Lost { why: "x".into(), proof: None };
        let later = JobIds { attempt: 3, ..ids(1) };
        journal.begin(&ids(1), Timestamp(0)).unwrap();
        journal.end(&ids(1), &lost, false, Timestamp(1)).unwrap();
        journal.begin(&later, Timestamp(2)).unwrap();
        journal.end(&ids(1), &lost, true, Timestamp(3)).unwrap();
        let entry = journal.entry(&later.build).unwrap();
        assert_eq!((entry.ids, entry.ended), (later, None));
    }

    #[test]
    fn reading_keeps_files_that_are_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        fs::write(dir.path().join("b-1.new"), "{").unwrap();
        assert_eq!(journal.all(Timestamp(0)).unwrap(), (vec![], vec![]));
        assert!(dir.path().join("b-1.new").exists());
    }

    #[test]
    fn only_reported_ends_expire() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let lost = Outcome::Lost { why: "x".into(), proof: None };
        journal.begin(&ids(1), Timestamp(0)).unwrap();
        journal.end(&ids(2), &lost, false, Timestamp(0)).unwrap();
        journal.end(&ids(3), &lost, true, Timestamp(0)).unwrap();
        let just = Timestamp(0) + RETENTION;
        assert_eq!(journal.all(Timestamp(just.0 - 1)).unwrap().0.len(), 3);
        let left: Vec<_> = journal.all(just).unwrap().0.into_iter().map(|entry| entry.ids).collect();
        assert_eq!(left, [ids(1), ids(2)]);
        assert_eq!(journal.entry(&ids(3).build), None);
    }
}
