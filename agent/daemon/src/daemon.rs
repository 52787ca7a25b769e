//! The main loop: messages, jobs' ends, signals and the watchdog. It waits for nothing else; whatever takes time is a
//! task of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bakehouse_protocol::{BuildId, Envelope, HostMessage, Job, Outcome, Timestamp, VolumeId};
use serde::Deserialize;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    admission::{failed, untouched},
    context::Context,
    host_reports::{State, report_always, report_once},
    job_table::{Disposition, JobTable, StopDisposition},
    journal::{Entry, Ids, REMEMBERED},
    notify::{NotifyState, notify, watchdog_interval},
    outbox::Outbox,
    queue_poller::{Received, listen},
    work::{self, Event, Receipt, SharedReceipt, StopReason, finish, work},
};

/// For how many seconds a message that is given back stays hidden.
const LATER: u32 = 5;
/// How often a build is begun at most (`Timing::max_attempts`): a word on one of which nothing is known is said for each.
const ATTEMPTS: u32 = 3;
/// How long ends may take to be said when everything else is over. The journal keeps them.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// How long jobs that were cancelled may take: their supervisor kills them after three minutes.
const CANCELLED: Duration = Duration::from_secs(200);
/// How often old things are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order.
    Drained,
    /// At once, as it was told a second time.
    AtOnce,
}

/// A job that is at work.
struct Held {
    attempt: u32,
    receipt: SharedReceipt,
    reason: watch::Sender<StopReason>,
}

struct Daemon {
    cx: Arc<Context>,
    job_table: JobTable,
    held: BTreeMap<BuildId, Held>,
    tasks: JoinSet<()>,
    events: mpsc::UnboundedSender<Event>,
    state: watch::Sender<State>,
}

/// When the way out takes its next step.
enum Shutdown {
    On,
    /// Jobs may go on until then.
    Draining(Instant),
    /// They were cancelled, and are waited for until then.
    Cancelled(Instant),
    /// No job is at work any more; what is still to be said has until then.
    Flushing(Instant),
}

/// Serves the host's queue until it is told to end by `signals`.
///
/// # Errors
/// The journal can't be read.
pub async fn run(cx: Arc<Context>, mut signals: mpsc::Receiver<()>) -> Result<Ended, String> {
    let (events, mut event) = mpsc::unbounded_channel();
    let (state, states) = watch::channel(State::default());
    let beat = watchdog_interval();
    let job_table = JobTable::new(cx.host.slots);
    let held = BTreeMap::new();
    let mut daemon = Daemon { cx, job_table, held, tasks: JoinSet::new(), events, state };
    daemon.remember()?;
    daemon.tell_state();
    // Ended with this function: nobody needs them any more.
    let mut helpers = JoinSet::new();
    helpers.spawn(report_always(Arc::clone(&daemon.cx), states));
    let (to, mut received) = mpsc::channel(1);
    helpers.spawn(listen(Arc::clone(&daemon.cx), to, daemon.state.clone()));
    notify(NotifyState::Ready);
    let mut watchdog = time::interval(beat.unwrap_or(HOUSEKEEPING));
    let mut housekeeping = time::interval(HOUSEKEEPING);
    let mut way = Shutdown::On;
    loop {
        if matches!(way, Shutdown::Draining(_) | Shutdown::Cancelled(_)) && daemon.held.is_empty() {
            way = Shutdown::Flushing(Instant::now() + LAST_WORDS);
        }
        let limit = match &way {
            Shutdown::On => None,
            Shutdown::Flushing(_) if daemon.tasks.is_empty() => break,
            Shutdown::Draining(until) | Shutdown::Cancelled(until) | Shutdown::Flushing(until) => Some(*until),
        };
        tokio::select! {
            Some(received) = received.recv() => daemon.message(received),
            Some(event) = event.recv() => daemon.event(event),
            Some(_) = daemon.tasks.join_next() => {}
            _ = watchdog.tick() => notify(NotifyState::Watchdog),
            _ = housekeeping.tick() => daemon.forget(),
            told = signals.recv() => match way {
                Shutdown::On if told.is_some() => {
                    way = Shutdown::Draining(Instant::now() + daemon.cx.settings.drain());
                    daemon.close();
                }
                _ => return Ok(Ended::AtOnce),
            },
            () = time::sleep_until(limit.unwrap_or_else(Instant::now)), if limit.is_some() => match way {
                Shutdown::Draining(_) => {
                    way = Shutdown::Cancelled(Instant::now() + CANCELLED);
                    daemon.wish_all(StopReason::Shutdown);
                }
                // The journal has what could not be said.
                _ => break,
            },
        }
    }
    // An idle host ends sooner than it would say so otherwise.
    let last = daemon.state.borrow().clone();
    report_once(&daemon.cx, last).await;
    Ok(Ended::Drained)
}

impl Daemon {
    /// What earlier lives have begun and not ended, or ended and not said.
    fn remember(&mut self) -> Result<(), String> {
        let (entries, unreadable) = self.cx.journal.all(self.cx.clock.now()).map_err(|error| error.to_string())?;
        for path in unreadable {
            tracing::error!(path = %path.display(), "a journal entry cannot be read: nothing is reported on its job");
        }
        let mut cut_off = Vec::new();
        for Entry { ids, ended, told, .. } in entries {
            match ended {
                Some(_) if told => self.job_table.told(&ids),
                Some(outcome) => self.end(ids, outcome, None),
                None => {
                    self.job_table.ending(&ids);
                    cut_off.push(ids);
                }
            }
        }
        let (cx, events) = (Arc::clone(&self.cx), self.events.clone());
        self.tasks.spawn(async move {
            for ids in cut_off {
                tracing::warn!(build = %ids.build, attempt = ids.attempt, "an earlier run of this agent ended while the job ran");
                let why = "the agent was ended while it ran, and has begun anew".to_owned();
                let outcome = work::lost(&cx, &ids, why).await;
                let outbox = Outbox::open(Arc::clone(&cx), ids.clone());
                finish(&cx, &ids, outcome, outbox, None, &events).await;
            }
            for what in cx.jobs.clear().await {
                tracing::warn!(what, "left by an earlier run of this agent");
            }
        });
        Ok(())
    }

    /// Says an end that nobody works for any more.
    fn end(&mut self, ids: Ids, outcome: Outcome, receipt: Option<SharedReceipt>) {
        self.job_table.ending(&ids);
        let (cx, events) = (Arc::clone(&self.cx), self.events.clone());
        self.tasks.spawn(async move {
            let outbox = Outbox::open(Arc::clone(&cx), ids.clone());
            finish(&cx, &ids, outcome, outbox, receipt.as_ref(), &events).await;
        });
    }

    fn message(&mut self, Received { queue, message }: Received) {
        let receipt = Receipt { queue, handle: message.receipt };
        match read(&message.body) {
            Ok(HostMessage::Job { job }) => self.job(job, &message.id, message.sent, receipt),
            Ok(HostMessage::Stop { build }) => self.stop(&build, message.sent, receipt),
            Err(Unread { of: Some(ids), what }) => {
                let message = format!("this host's agent does not understand the job: {what}");
                let hint = "the host's agent may be older than the stack: replace the host".to_owned();
                self.end(ids, failed(message, Some(hint)), Some(shared(receipt)));
            }
            Err(Unread { of: None, what }) => {
                tracing::error!(what, "deleted a message that is not ours");
                self.delete(receipt);
            }
        }
    }

    fn job(&mut self, job: Job, message: &str, sent: Timestamp, receipt: Receipt) {
        let ids = Ids::of(&job);
        let lost = |why: &str| Outcome::Lost { why: why.to_owned(), proof: Some(untouched()) };
        let waited = self.cx.clock.now().since(sent);
        match self.job_table.job(&ids, message, sent) {
            Disposition::Begin if waited > job.disk_deadline => {
                // The controller has taken this host for lost meanwhile, and the volume from it: waiting for the disk
                // would only keep a slot from builds that are wanted.
                self.end(ids, lost(&format!("its job waited {waited} for this host")), Some(shared(receipt)));
            }
            Disposition::Begin => {
                tracing::info!(build = %ids.build, attempt = ids.attempt, "job started");
                let (reason, wishes) = watch::channel(StopReason::GoOn);
                let receipt = shared(receipt);
                let held = Held { attempt: ids.attempt, receipt: Arc::clone(&receipt), reason };
                self.held.insert(ids.build, held);
                let (cx, events) = (Arc::clone(&self.cx), self.events.clone());
                self.tasks.spawn(work(cx, job, receipt, wishes, events));
                self.tell_state();
            }
            Disposition::Adopt => {
                if let Some(held) = self.held.get(&ids.build) {
                    *held.receipt.lock().unwrap_or_else(PoisonError::into_inner) = receipt;
                }
            }
            Disposition::Delete => self.delete(receipt),
            Disposition::Later => self.later(receipt),
            Disposition::StopOlder => {
                self.reason(&ids.build, StopReason::Newer);
                self.later(receipt);
            }
            Disposition::Stopped => self.end(ids, lost("it was told to stop before it began"), Some(shared(receipt))),
            Disposition::Closed => self.end(ids, lost("the host is shutting down"), Some(shared(receipt))),
        }
    }

    fn stop(&mut self, build: &BuildId, sent: Timestamp, receipt: Receipt) {
        match self.job_table.stop(build, sent) {
            StopDisposition::Stop => self.reason(build, StopReason::Stop),
            StopDisposition::Wait | StopDisposition::Stale => {}
            StopDisposition::SayAgain => match self.cx.journal.entry(build) {
                Some(Entry { ids, ended: Some(outcome), .. }) => return self.answer(vec![(ids, outcome)], receipt),
                _ => return self.unknown(build, receipt),
            },
            StopDisposition::Unknown => return self.unknown(build, receipt),
        }
        self.delete(receipt);
    }

    /// The build waits for our word, and we know nothing of it.
    fn unknown(&mut self, build: &BuildId, receipt: Receipt) {
        tracing::info!(%build, "told to stop a job that is not known here");
        // No word of the report is of the volume.
        let Ok(volume) = VolumeId::new("vol-00000000") else { return };
        let lost = Outcome::Lost { why: "this host knows of no such job".to_owned(), proof: None };
        let all = (1..=ATTEMPTS).map(|attempt| Ids { build: build.clone(), attempt, volume: volume.clone() });
        self.answer(all.map(|ids| (ids, lost.clone())).collect(), receipt);
    }

    /// Answers a wish to stop by the ends of these jobs, which nobody waits to be told of; then deletes it.
    fn answer(&mut self, ends: Vec<(Ids, Outcome)>, receipt: Receipt) {
        let cx = Arc::clone(&self.cx);
        self.tasks.spawn(async move {
            for (ids, outcome) in ends {
                let body = bakehouse_protocol::ReportBody::Ended(outcome);
                let report = crate::outbox::report(&cx, &ids, body);
                if let Err(fault) = cx.inbox.send(&bakehouse_protocol::InboxMessage::Report { report }).await {
                    // Its message comes again.
                    return tracing::warn!(build = %ids.build, attempt = ids.attempt, %fault, "reporting the end of a job failed");
                }
            }
            if let Err(fault) = cx.queue.delete(&receipt.queue, &receipt.handle).await {
                tracing::warn!(%fault, "deleting a message failed");
            }
        });
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::UndoReason(ids) => {
                self.job_table.ending(&ids);
                if self.held.get(&ids.build).is_some_and(|held| held.attempt == ids.attempt) {
                    self.held.remove(&ids.build);
                }
            }
            Event::Told(ids) => {
                tracing::info!(build = %ids.build, attempt = ids.attempt, "job ended");
                self.job_table.told(&ids);
            }
        }
        self.tell_state();
    }

    /// The way out begins.
    fn close(&mut self) {
        tracing::info!(jobs = self.held.len(), drain = ?self.cx.settings.drain(), "stopping");
        notify(NotifyState::Stopping);
        self.job_table.close();
        self.tell_state();
    }

    fn reason(&self, build: &BuildId, reason: StopReason) {
        if let Some(held) = self.held.get(build) {
            held.reason.send_if_modified(|now| {
                // The first reason to stop stays the reason.
                let first = *now == StopReason::GoOn;
                if first {
                    *now = reason;
                }
                first
            });
        }
    }

    fn wish_all(&self, reason: StopReason) {
        self.held.keys().for_each(|build| self.reason(build, reason));
    }

    fn delete(&mut self, receipt: Receipt) {
        let cx = Arc::clone(&self.cx);
        self.tasks.spawn(async move {
            if let Err(fault) = cx.queue.delete(&receipt.queue, &receipt.handle).await {
                tracing::warn!(%fault, "deleting a message failed");
            }
        });
    }

    fn later(&mut self, receipt: Receipt) {
        let cx = Arc::clone(&self.cx);
        self.tasks.spawn(async move {
            if let Err(fault) = cx.queue.hide(&receipt.queue, &receipt.handle, LATER).await {
                tracing::warn!(%fault, "hiding a message failed");
            }
        });
    }

    fn tell_state(&self) {
        let (running, draining) = (self.job_table.running(), self.job_table.is_closed());
        let word = if draining { "stopping; " } else { "" };
        let status = format!("{word}{} of {} slots in use", self.held.len(), self.cx.host.slots);
        notify(NotifyState::Status(&status));
        self.state.send_if_modified(|state| {
            let changed = state.running != running || state.draining != draining;
            (state.running, state.draining) = (running, draining);
            changed
        });
    }

    fn forget(&mut self) {
        let now = self.cx.clock.now();
        // Reading removes what is old.
        if let Err(error) = self.cx.journal.all(now) {
            tracing::error!(%error, "reading the journal failed");
        }
        let before = Timestamp(now.0.saturating_sub(REMEMBERED.0));
        let journal = &self.cx.journal;
        self.job_table.forget(before, |build| journal.entry(build).is_some());
    }
}

fn shared(receipt: Receipt) -> SharedReceipt {
    Arc::new(std::sync::Mutex::new(receipt))
}

/// A message that is none, and of which job it may speak all the same.
struct Unread {
    of: Option<Ids>,
    what: String,
}

fn read(body: &str) -> Result<HostMessage, Unread> {
    #[derive(Deserialize)]
    struct Least {
        job: Ids,
    }
    let of = || serde_json::from_str::<Least>(body).ok().map(|least| least.job);
    let envelope: Envelope<HostMessage> =
        serde_json::from_str(body).map_err(|error| Unread { of: of(), what: error.to_string() })?;
    if envelope.version != bakehouse_protocol::VERSION {
        return Err(Unread { of: of(), what: format!("it is of version {}", envelope.version) });
    }
    Ok(envelope.message)
}
