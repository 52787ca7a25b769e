//! The table of jobs, which decides what to do with each message. Pure: the daemon carries it out.
//!
//! Messages may be delivered twice, late and in any order. A job is identified by its build and attempt. A request to
//! stop names only the build: it applies to the job that was sent before it, by the queue's times.

use std::collections::BTreeMap;

use bakehouse_protocol::{BuildId, Timestamp};

use crate::journal::JobIds;

/// The latest job of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
struct JobEntry {
    attempt: u32,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// It runs, started by this message.
    Running { message: String, sent: Timestamp },
    /// It has ended; its end is not reported yet.
    Ending,
    /// Its end is in the inbox.
    Reported,
}

/// What to do with a job's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Start it.
    Start,
    /// It runs, and its message was delivered again: the new receipt replaces the old one.
    RenewReceipt,
    /// Delete the message: the job runs by another message, its end is reported, or it is an older attempt.
    Delete,
    /// Return the message to the queue for a while.
    Postpone,
    /// An older attempt runs: stop it, and return the message to the queue for a while.
    StopOlder,
    /// Report it as lost: it was stopped before it arrived.
    StoppedBefore,
    /// Report it as lost: the host takes no more jobs.
    Closed,
}

/// What to do with a request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopDisposition {
    /// Stop the running job.
    Stop,
    /// Its end is being reported.
    Wait,
    /// Its end was reported; report it again, as the request shows that the report did not arrive.
    ReportAgain,
    /// It is for an earlier job than the running one.
    Stale,
    /// The job is unknown: report that.
    Unknown,
}

/// The jobs of this host.
#[derive(Debug, Default)]
pub struct JobTable {
    slots: usize,
    closed: bool,
    jobs: BTreeMap<BuildId, JobEntry>,
    /// When the last request to stop a build was sent.
    stops: BTreeMap<BuildId, Timestamp>,
}

impl JobTable {
    /// Returns an empty table with this many slots.
    pub fn new(slots: u32) -> Self {
        Self { slots: slots.try_into().unwrap_or(usize::MAX), ..Self::default() }
    }

    /// Starts no more jobs.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether no more jobs are started.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Handles a job's message.
    pub fn job(&mut self, ids: &JobIds, message: &str, sent: Timestamp) -> Disposition {
        if let Some(job) = self.jobs.get(&ids.build) {
            if ids.attempt < job.attempt {
                return Disposition::Delete;
            }
            match (&job.stage, ids.attempt > job.attempt) {
                (Stage::Running { .. }, true) => return Disposition::StopOlder,
                (Stage::Running { message: own, .. }, false) if own == message => return Disposition::RenewReceipt,
                (Stage::Running { .. } | Stage::Reported, false) => return Disposition::Delete,
                (Stage::Ending, false) => return Disposition::Postpone,
                (Stage::Ending | Stage::Reported, true) => {}
            }
        }
        if self.stops.get(&ids.build).is_some_and(|stop| sent <= *stop) {
            self.ended(ids);
            return Disposition::StoppedBefore;
        }
        if self.closed {
            self.ended(ids);
            return Disposition::Closed;
        }
        if self.running_jobs().count() >= self.slots {
            return Disposition::Postpone;
        }
        let stage = Stage::Running { message: message.to_owned(), sent };
        self.jobs.insert(ids.build.clone(), JobEntry { attempt: ids.attempt, stage });
        Disposition::Start
    }

    /// Handles a request to stop a build.
    pub fn stop(&mut self, build: &BuildId, sent: Timestamp) -> StopDisposition {
        let last = self.stops.entry(build.clone()).or_insert(sent);
        *last = sent.max(*last);
        match self.jobs.get(build).map(|job| &job.stage) {
            None => StopDisposition::Unknown,
            Some(Stage::Running { sent: job, .. }) if sent < *job => StopDisposition::Stale,
            Some(Stage::Running { .. }) => StopDisposition::Stop,
            Some(Stage::Ending) => StopDisposition::Wait,
            Some(Stage::Reported) => StopDisposition::ReportAgain,
        }
    }

    /// Records that a job has ended. Also one of an earlier run.
    pub fn ended(&mut self, ids: &JobIds) {
        self.set_stage(ids, Stage::Ending);
    }

    /// Records that a job's end is in the inbox. Also one of an earlier run.
    pub fn reported(&mut self, ids: &JobIds) {
        self.set_stage(ids, Stage::Reported);
    }

    fn set_stage(&mut self, ids: &JobIds, stage: Stage) {
        let job = self.jobs.entry(ids.build.clone()).or_insert(JobEntry { attempt: ids.attempt, stage: stage.clone() });
        // An older attempt does not change a newer one.
        if ids.attempt >= job.attempt {
            *job = JobEntry { attempt: ids.attempt, stage };
        }
    }

    fn running_jobs(&self) -> impl Iterator<Item = &BuildId> {
        self.jobs.iter().filter(|(_, job)| matches!(job.stage, Stage::Running { .. })).map(|(build, _)| build)
    }

    /// Returns the builds whose ends are not in the inbox yet.
    pub fn running(&self) -> Vec<BuildId> {
        self.jobs.iter().filter(|(_, job)| job.stage != Stage::Reported).map(|(build, _)| build.clone()).collect()
    }

    /// Removes reported jobs that are not in the journal any more, and requests to stop that were sent before this
    /// time.
    pub fn remove_old(&mut self, before: Timestamp, is_in_journal: impl Fn(&BuildId) -> bool) {
        self.stops.retain(|_, sent| *sent >= before);
        self.jobs.retain(|build, job| job.stage != Stage::Reported || is_in_journal(build));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::VolumeId;

    fn ids(build: u32, attempt: u32) -> JobIds {
        let volume = VolumeId::new("vol-01234567").unwrap();
        JobIds { build: BuildId::from_parts(1, build), attempt, volume }
    }

    const T: Timestamp = Timestamp(1000);

    #[test]
    fn a_job_that_is_delivered_twice_runs_once() {
        let mut job_table = JobTable::new(2);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Start);
        // The same message, delivered again after its visibility time-out; then a second message of the same job.
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::RenewReceipt);
        assert_eq!(job_table.job(&ids(1, 1), "m2", T), Disposition::Delete);
        job_table.ended(&ids(1, 1));
        // Not deleted before the end is reported: if the daemon dies now, the message is delivered again.
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Postpone);
        job_table.reported(&ids(1, 1));
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Delete);
    }

    #[test]
    fn only_running_jobs_use_slots() {
        let mut job_table = JobTable::new(1);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Start);
        assert_eq!(job_table.job(&ids(2, 1), "m2", T), Disposition::Postpone);
        job_table.ended(&ids(1, 1));
        assert_eq!(job_table.job(&ids(2, 1), "m2", T), Disposition::Start);
        assert_eq!(job_table.running(), [ids(1, 1).build, ids(2, 1).build]);
        job_table.reported(&ids(1, 1));
        assert_eq!(job_table.running(), [ids(2, 1).build]);
    }

    #[test]
    fn attempts() {
        let mut job_table = JobTable::new(5);
        assert_eq!(job_table.job(&ids(1, 2), "m2", T), Disposition::Start);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Delete);
        assert_eq!(job_table.job(&ids(1, 3), "m3", T), Disposition::StopOlder);
        job_table.ended(&ids(1, 2));
        assert_eq!(job_table.job(&ids(1, 3), "m3", T), Disposition::Start);
        // The report of the old attempt does not change the new one.
        job_table.reported(&ids(1, 2));
        assert_eq!(job_table.running(), [ids(1, 1).build]);
        assert_eq!(job_table.job(&ids(1, 3), "m3", T), Disposition::RenewReceipt);
    }

    #[test]
    fn a_stop_applies_to_jobs_that_were_sent_before_it() {
        let mut job_table = JobTable::new(5);
        let build = ids(1, 1).build;
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Start);
        assert_eq!(job_table.stop(&build, Timestamp(999)), StopDisposition::Stale);
        assert_eq!(job_table.stop(&build, Timestamp(1001)), StopDisposition::Stop);
        job_table.ended(&ids(1, 1));
        assert_eq!(job_table.stop(&build, Timestamp(1002)), StopDisposition::Wait);
        job_table.reported(&ids(1, 1));
        assert_eq!(job_table.stop(&build, Timestamp(1003)), StopDisposition::ReportAgain);
        // The build restarts on the same host; the last request is delivered once more.
        assert_eq!(job_table.job(&ids(1, 2), "m2", Timestamp(2000)), Disposition::Start);
        assert_eq!(job_table.stop(&build, Timestamp(1003)), StopDisposition::Stale);
    }

    #[test]
    fn a_stop_that_arrives_before_its_job() {
        let mut job_table = JobTable::new(5);
        assert_eq!(job_table.stop(&ids(1, 1).build, Timestamp(1001)), StopDisposition::Unknown);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::StoppedBefore);
        job_table.reported(&ids(1, 1));
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Delete);
        // A job that was sent later is not stopped.
        assert_eq!(job_table.job(&ids(1, 2), "m2", Timestamp(1002)), Disposition::Start);
    }

    #[test]
    fn a_closed_table_starts_no_job() {
        let mut job_table = JobTable::new(5);
        job_table.job(&ids(1, 1), "m1", T);
        job_table.close();
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::RenewReceipt);
        assert_eq!(job_table.job(&ids(2, 1), "m2", T), Disposition::Closed);
        assert_eq!(job_table.running().len(), 2);
    }

    #[test]
    fn old_jobs_are_removed_unless_unreported() {
        let mut job_table = JobTable::new(5);
        job_table.reported(&ids(1, 1));
        job_table.ended(&ids(2, 1));
        job_table.stop(&ids(3, 1).build, T);
        job_table.remove_old(Timestamp(1001), |_| false);
        assert_eq!(job_table.running(), [ids(2, 1).build]);
        assert_eq!(job_table.job(&ids(3, 1), "m", T), Disposition::Start);
        assert_eq!(job_table.job(&ids(1, 1), "m", T), Disposition::Start);
    }
}
