//! What to do with a message, decided from what is known of its build. Pure: the daemon carries it out.
//!
//! Messages may come twice, late and in any order. A job is known by its build and attempt. A wish to stop names the
//! build alone, so by the queue's own times it is told which job it means: one that was sent before it.

use std::collections::BTreeMap;

use bakehouse_protocol::{BuildId, Timestamp};

use crate::journal::Ids;

/// What is known of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    attempt: u32,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Its job is at work, told by this message.
    Working { message: String, sent: Timestamp },
    /// Its end is still to be said.
    UndoReason,
    /// The inbox has its end.
    Told,
}

/// What to do with a job's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Begin it.
    Begin,
    /// It is at work, and this is its message again: the earlier receipt is good no more.
    Adopt,
    /// Delete the message: the job is at work by another message, has ended and been told, or is older than another.
    Delete,
    /// Give the message back for a while.
    Later,
    /// An older attempt is at work: stop that, and give the message back for a while.
    StopOlder,
    /// Don't begin it, and say that it is lost: it was told to stop before it was here.
    Stopped,
    /// Don't begin it, and say that it is lost: the host takes no more.
    Closed,
}

/// What to do about a wish to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopDisposition {
    /// Stop the job that is at work.
    Stop,
    /// Its end is on the way.
    Wait,
    /// Its end was said; say it again, as the wish shows that it was not heard.
    SayAgain,
    /// It means an earlier job than the one at work.
    Stale,
    /// Nothing is known of it: say so.
    Unknown,
}

/// The desk.
#[derive(Debug, Default)]
pub struct JobTable {
    slots: usize,
    closed: bool,
    known: BTreeMap<BuildId, Known>,
    /// When the last wish to stop a build was sent.
    stops: BTreeMap<BuildId, Timestamp>,
}

impl JobTable {
    /// A desk with room for so many jobs at once.
    pub fn new(slots: u32) -> Self {
        Self { slots: slots.try_into().unwrap_or(usize::MAX), ..Self::default() }
    }

    /// No job is begun any more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether jobs are begun no more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// A job's message came.
    pub fn job(&mut self, ids: &Ids, message: &str, sent: Timestamp) -> Disposition {
        if let Some(known) = self.known.get(&ids.build) {
            if ids.attempt < known.attempt {
                return Disposition::Delete;
            }
            match (&known.stage, ids.attempt > known.attempt) {
                (Stage::Working { .. }, true) => return Disposition::StopOlder,
                (Stage::Working { message: own, .. }, false) if own == message => return Disposition::Adopt,
                (Stage::Working { .. } | Stage::Told, false) => return Disposition::Delete,
                (Stage::UndoReason, false) => return Disposition::Later,
                (Stage::UndoReason | Stage::Told, true) => {}
            }
        }
        if self.stops.get(&ids.build).is_some_and(|stop| sent <= *stop) {
            self.ending(ids);
            return Disposition::Stopped;
        }
        if self.closed {
            self.ending(ids);
            return Disposition::Closed;
        }
        if self.working().count() >= self.slots {
            return Disposition::Later;
        }
        let stage = Stage::Working { message: message.to_owned(), sent };
        self.known.insert(ids.build.clone(), Known { attempt: ids.attempt, stage });
        Disposition::Begin
    }

    /// A wish to stop a build came.
    pub fn stop(&mut self, build: &BuildId, sent: Timestamp) -> StopDisposition {
        let last = self.stops.entry(build.clone()).or_insert(sent);
        *last = sent.max(*last);
        match self.known.get(build).map(|known| &known.stage) {
            None => StopDisposition::Unknown,
            Some(Stage::Working { sent: job, .. }) if sent < *job => StopDisposition::Stale,
            Some(Stage::Working { .. }) => StopDisposition::Stop,
            Some(Stage::UndoReason) => StopDisposition::Wait,
            Some(Stage::Told) => StopDisposition::SayAgain,
        }
    }

    /// A job has ended; its end is to be said. Also one of an earlier life.
    pub fn ending(&mut self, ids: &Ids) {
        self.at(ids, Stage::UndoReason);
    }

    /// The inbox has a job's end. Also one of an earlier life.
    pub fn told(&mut self, ids: &Ids) {
        self.at(ids, Stage::Told);
    }

    fn at(&mut self, ids: &Ids, stage: Stage) {
        let known = self.known.entry(ids.build.clone()).or_insert(Known { attempt: ids.attempt, stage: stage.clone() });
        // A word on an older attempt says nothing of a newer one.
        if ids.attempt >= known.attempt {
            *known = Known { attempt: ids.attempt, stage };
        }
    }

    fn working(&self) -> impl Iterator<Item = &BuildId> {
        self.known.iter().filter(|(_, known)| matches!(known.stage, Stage::Working { .. })).map(|(build, _)| build)
    }

    /// The builds that are worked on: until the inbox has their ends.
    pub fn running(&self) -> Vec<BuildId> {
        self.known.iter().filter(|(_, known)| known.stage != Stage::Told).map(|(build, _)| build.clone()).collect()
    }

    /// Forgets what was told, and wishes that were sent, before then.
    pub fn forget(&mut self, before: Timestamp, remembered: impl Fn(&BuildId) -> bool) {
        self.stops.retain(|_, sent| *sent >= before);
        self.known.retain(|build, known| known.stage != Stage::Told || remembered(build));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::VolumeId;

    fn ids(build: u32, attempt: u32) -> Ids {
        let volume = VolumeId::new("vol-01234567").unwrap();
        Ids { build: BuildId::from_parts(1, build), attempt, volume }
    }

    const T: Timestamp = Timestamp(1000);

    #[test]
    fn a_job_that_comes_twice_is_run_once() {
        let mut job_table = JobTable::new(2);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Begin);
        // The same message, seen again after its time was over; then a second message of the same job.
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Adopt);
        assert_eq!(job_table.job(&ids(1, 1), "m2", T), Disposition::Delete);
        job_table.ending(&ids(1, 1));
        // Not deleted before the end was said: should we die now, it is what brings the job back to mind.
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Later);
        job_table.told(&ids(1, 1));
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Delete);
    }

    #[test]
    fn slots_are_those_of_jobs_at_work() {
        let mut job_table = JobTable::new(1);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Begin);
        assert_eq!(job_table.job(&ids(2, 1), "m2", T), Disposition::Later);
        job_table.ending(&ids(1, 1));
        assert_eq!(job_table.job(&ids(2, 1), "m2", T), Disposition::Begin);
        assert_eq!(job_table.running(), [ids(1, 1).build, ids(2, 1).build]);
        job_table.told(&ids(1, 1));
        assert_eq!(job_table.running(), [ids(2, 1).build]);
    }

    #[test]
    fn attempts() {
        let mut job_table = JobTable::new(5);
        assert_eq!(job_table.job(&ids(1, 2), "m2", T), Disposition::Begin);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Delete);
        assert_eq!(job_table.job(&ids(1, 3), "m3", T), Disposition::StopOlder);
        job_table.ending(&ids(1, 2));
        assert_eq!(job_table.job(&ids(1, 3), "m3", T), Disposition::Begin);
        // The old end's word arrives: nothing about the new one.
        job_table.told(&ids(1, 2));
        assert_eq!(job_table.running(), [ids(1, 1).build]);
        assert_eq!(job_table.job(&ids(1, 3), "m3", T), Disposition::Adopt);
    }

    #[test]
    fn stops_mean_the_jobs_that_were_sent_before_them() {
        let mut job_table = JobTable::new(5);
        let build = ids(1, 1).build;
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Begin);
        assert_eq!(job_table.stop(&build, Timestamp(999)), StopDisposition::Stale);
        assert_eq!(job_table.stop(&build, Timestamp(1001)), StopDisposition::Stop);
        job_table.ending(&ids(1, 1));
        assert_eq!(job_table.stop(&build, Timestamp(1002)), StopDisposition::Wait);
        job_table.told(&ids(1, 1));
        assert_eq!(job_table.stop(&build, Timestamp(1003)), StopDisposition::SayAgain);
        // The build begins anew on the same host; the last wish comes once more.
        assert_eq!(job_table.job(&ids(1, 2), "m2", Timestamp(2000)), Disposition::Begin);
        assert_eq!(job_table.stop(&build, Timestamp(1003)), StopDisposition::Stale);
    }

    #[test]
    fn a_stop_that_overtakes_its_job() {
        let mut job_table = JobTable::new(5);
        assert_eq!(job_table.stop(&ids(1, 1).build, Timestamp(1001)), StopDisposition::Unknown);
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Stopped);
        job_table.told(&ids(1, 1));
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Delete);
        // One that was sent later is another story.
        assert_eq!(job_table.job(&ids(1, 2), "m2", Timestamp(1002)), Disposition::Begin);
    }

    #[test]
    fn a_closed_desk_begins_nothing() {
        let mut job_table = JobTable::new(5);
        job_table.job(&ids(1, 1), "m1", T);
        job_table.close();
        assert_eq!(job_table.job(&ids(1, 1), "m1", T), Disposition::Adopt);
        assert_eq!(job_table.job(&ids(2, 1), "m2", T), Disposition::Closed);
        assert_eq!(job_table.running().len(), 2);
    }

    #[test]
    fn what_is_old_is_forgotten_unless_it_is_untold() {
        let mut job_table = JobTable::new(5);
        job_table.told(&ids(1, 1));
        job_table.ending(&ids(2, 1));
        job_table.stop(&ids(3, 1).build, T);
        job_table.forget(Timestamp(1001), |_| false);
        assert_eq!(job_table.running(), [ids(2, 1).build]);
        assert_eq!(job_table.job(&ids(3, 1), "m", T), Disposition::Begin);
        assert_eq!(job_table.job(&ids(1, 1), "m", T), Disposition::Begin);
    }
}
