//! The main loop: messages, events of jobs, signals and the watchdog. Everything that takes time runs in a task of its
//! own.

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
    journal::{Entry, JobIds, RETENTION},
    notify::{self, NotifyState, notify},
    outbox::Outbox,
    queue_poller::{Received, poll_queue},
    work::{self, Event, Receipt, SharedReceipt, StopRequest, finish, run_job},
};

/// The visibility time-out in seconds of a message that is returned to the queue.
const POSTPONE_SECONDS: u32 = 5;
/// The attempts of a build (`Timing::max_attempts`): the loss of an unknown job is reported for each.
const MAX_ATTEMPTS: u32 = 3;
/// How long the last reports may take at shutdown. The journal keeps the ends of jobs.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);
/// How long cancelled jobs may take: their supervisor kills them after three minutes.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(200);
/// How often old entries are removed.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After its jobs have ended.
    Drained,
    /// At once, at a second signal.
    Forced,
}

/// A running job.
struct RunningJob {
    attempt: u32,
    receipt: SharedReceipt,
    stop: watch::Sender<StopRequest>,
}

struct Daemon {
    cx: Arc<Context>,
    job_table: JobTable,
    jobs: BTreeMap<BuildId, RunningJob>,
    tasks: JoinSet<()>,
    events: mpsc::UnboundedSender<Event>,
    state: watch::Sender<State>,
}

/// The state of the shutdown.
enum Shutdown {
    /// None was requested.
    NotRequested,
    /// Jobs may run until this time.
    Draining(Instant),
    /// Jobs were cancelled, and may take until this time.
    Cancelled(Instant),
    /// No job runs any more; reports may be sent until this time.
    Flushing(Instant),
}

/// Serves the host's queue until a message from `signals`.
///
/// # Errors
/// The journal can't be read.
pub async fn run(cx: Arc<Context>, mut signals: mpsc::Receiver<()>) -> Result<Ended, String> {
    let (events, mut event) = mpsc::unbounded_channel();
    let (state, states) = watch::channel(State::default());
    let watchdog_interval = notify::watchdog_interval();
    let job_table = JobTable::new(cx.host.slots);
    let jobs = BTreeMap::new();
    let mut daemon = Daemon { cx, job_table, jobs, tasks: JoinSet::new(), events, state };
    daemon.recover_jobs()?;
    daemon.publish_state();
    // They are aborted when this function returns.
    let mut background = JoinSet::new();
    background.spawn(report_always(Arc::clone(&daemon.cx), states));
    let (to, mut received) = mpsc::channel(1);
    background.spawn(poll_queue(Arc::clone(&daemon.cx), to, daemon.state.clone()));
    notify(NotifyState::Ready);
    let mut watchdog = time::interval(watchdog_interval.unwrap_or(HOUSEKEEPING));
    let mut housekeeping = time::interval(HOUSEKEEPING);
    let mut shutdown = Shutdown::NotRequested;
    loop {
        if matches!(shutdown, Shutdown::Draining(_) | Shutdown::Cancelled(_)) && daemon.jobs.is_empty() {
            shutdown = Shutdown::Flushing(Instant::now() + FLUSH_TIMEOUT);
        }
        let limit = match &shutdown {
            Shutdown::NotRequested => None,
            Shutdown::Flushing(_) if daemon.tasks.is_empty() => break,
            Shutdown::Draining(until) | Shutdown::Cancelled(until) | Shutdown::Flushing(until) => Some(*until),
        };
        tokio::select! {
            Some(received) = received.recv() => daemon.message(received),
            Some(event) = event.recv() => daemon.event(event),
            Some(_) = daemon.tasks.join_next() => {}
            _ = watchdog.tick() => notify(NotifyState::Watchdog),
            _ = housekeeping.tick() => daemon.remove_old(),
            signal = signals.recv() => match shutdown {
                Shutdown::NotRequested if signal.is_some() => {
                    shutdown = Shutdown::Draining(Instant::now() + daemon.cx.settings.drain());
                    daemon.close();
                }
                _ => return Ok(Ended::Forced),
            },
            () = time::sleep_until(limit.unwrap_or_else(Instant::now)), if limit.is_some() => match shutdown {
                Shutdown::Draining(_) => {
                    shutdown = Shutdown::Cancelled(Instant::now() + CANCEL_TIMEOUT);
                    daemon.stop_all(StopRequest::Shutdown);
                }
                // The journal has the ends that could not be reported.
                _ => break,
            },
        }
    }
    // An idle host would otherwise exit before its next report.
    let last = daemon.state.borrow().clone();
    report_once(&daemon.cx, last).await;
    Ok(Ended::Drained)
}

impl Daemon {
    /// Reports the jobs of earlier runs that have not ended, or whose ends are not reported.
    fn recover_jobs(&mut self) -> Result<(), String> {
        let (entries, unreadable) = self.cx.journal.all(self.cx.clock.now()).map_err(|error| error.to_string())?;
        for path in unreadable {
            tracing::error!(path = %path.display(), "can't read a journal entry: its job is not reported");
        }
        let mut cut_off = Vec::new();
        for Entry { ids, ended, reported, .. } in entries {
            match ended {
                Some(_) if reported => self.job_table.reported(&ids),
                Some(outcome) => self.report_end(ids, outcome, None),
                None => {
                    self.job_table.ended(&ids);
                    cut_off.push(ids);
                }
            }
        }
        let (cx, events) = (Arc::clone(&self.cx), self.events.clone());
        self.tasks.spawn(async move {
            for ids in cut_off {
                tracing::warn!(build = %ids.build, attempt = ids.attempt, "job was cut off by the end of an earlier run of this agent");
                let why = "the agent was restarted while it ran".to_owned();
                let outcome = work::lost(&cx, &ids, why).await;
                let outbox = Outbox::open(Arc::clone(&cx), ids.clone());
                finish(&cx, &ids, outcome, outbox, None, &events).await;
            }
            for what in cx.jobs.clear().await {
                tracing::warn!(leftover = what, "leftover of an earlier run of this agent");
            }
        });
        Ok(())
    }

    /// Reports the end of a job that does not run.
    fn report_end(&mut self, ids: JobIds, outcome: Outcome, receipt: Option<SharedReceipt>) {
        self.job_table.ended(&ids);
        let (cx, events) = (Arc::clone(&self.cx), self.events.clone());
        self.tasks.spawn(async move {
            let outbox = Outbox::open(Arc::clone(&cx), ids.clone());
            finish(&cx, &ids, outcome, outbox, receipt.as_ref(), &events).await;
        });
    }

    fn message(&mut self, Received { queue, message }: Received) {
        let receipt = Receipt { queue, handle: message.receipt };
        match parse(&message.body) {
            Ok(HostMessage::Job { job }) => self.job(job, &message.id, message.sent, receipt),
            Ok(HostMessage::Stop { build }) => self.stop(&build, message.sent, receipt),
            Err(InvalidMessage { job: Some(ids), error }) => {
                let message = format!("this host's agent can't read the job: {error}");
                let hint = "the host's agent may be older than the stack: replace the host".to_owned();
                self.report_end(ids, failed(message, Some(hint)), Some(shared(receipt)));
            }
            Err(InvalidMessage { job: None, error }) => {
                tracing::error!(error, "invalid message deleted");
                self.delete(receipt);
            }
        }
    }

    fn job(&mut self, job: Job, message: &str, sent: Timestamp, receipt: Receipt) {
        let ids = JobIds::of(&job);
        let lost = |why: &str| Outcome::Lost { why: why.to_owned(), proof: Some(untouched()) };
        let waited = self.cx.clock.now().since(sent);
        match self.job_table.job(&ids, message, sent) {
            Disposition::Start if waited > job.disk_deadline => {
                // The controller has detached the volume meanwhile: waiting for the disk would only occupy a slot.
                self.report_end(
                    ids,
                    lost(&format!("its job waited {waited} in the queue of this host")),
                    Some(shared(receipt)),
                );
            }
            Disposition::Start => {
                tracing::info!(build = %ids.build, attempt = ids.attempt, "job started");
                let (stop, stop_receiver) = watch::channel(StopRequest::None);
                let receipt = shared(receipt);
                let running = RunningJob { attempt: ids.attempt, receipt: Arc::clone(&receipt), stop };
                self.jobs.insert(ids.build, running);
                let (cx, events) = (Arc::clone(&self.cx), self.events.clone());
                self.tasks.spawn(run_job(cx, job, receipt, stop_receiver, events));
                self.publish_state();
            }
            Disposition::RenewReceipt => {
                if let Some(running) = self.jobs.get(&ids.build) {
                    *running.receipt.lock().unwrap_or_else(PoisonError::into_inner) = receipt;
                }
            }
            Disposition::Delete => self.delete(receipt),
            Disposition::Postpone => self.postpone(receipt),
            Disposition::StopOlder => {
                self.request_stop(&ids.build, StopRequest::NewerAttempt);
                self.postpone(receipt);
            }
            Disposition::StoppedBefore => {
                self.report_end(ids, lost("it was stopped before it started"), Some(shared(receipt)))
            }
            Disposition::Closed => self.report_end(ids, lost("the host is shutting down"), Some(shared(receipt))),
        }
    }

    fn stop(&mut self, build: &BuildId, sent: Timestamp, receipt: Receipt) {
        match self.job_table.stop(build, sent) {
            StopDisposition::Stop => self.request_stop(build, StopRequest::Stop),
            StopDisposition::Wait | StopDisposition::Stale => {}
            StopDisposition::ReportAgain => match self.cx.journal.entry(build) {
                Some(Entry { ids, ended: Some(outcome), .. }) => {
                    return self.report_ends(vec![(ids, outcome)], receipt);
                }
                _ => return self.report_unknown(build, receipt),
            },
            StopDisposition::Unknown => return self.report_unknown(build, receipt),
        }
        self.delete(receipt);
    }

    /// Reports that a job is unknown here, as the controller waits for its end.
    fn report_unknown(&mut self, build: &BuildId, receipt: Receipt) {
        tracing::info!(%build, "request to stop an unknown job");
        // The report does not name the volume.
        let Ok(volume) = VolumeId::new("vol-00000000") else { return };
        let lost = Outcome::Lost { why: "this host has no such job".to_owned(), proof: None };
        let all = (1..=MAX_ATTEMPTS).map(|attempt| JobIds { build: build.clone(), attempt, volume: volume.clone() });
        self.report_ends(all.map(|ids| (ids, lost.clone())).collect(), receipt);
    }

    /// Reports these ends in answer to a request to stop; then deletes its message.
    fn report_ends(&mut self, ends: Vec<(JobIds, Outcome)>, receipt: Receipt) {
        let cx = Arc::clone(&self.cx);
        self.tasks.spawn(async move {
            for (ids, outcome) in ends {
                let body = bakehouse_protocol::ReportBody::Ended(outcome);
                let report = crate::outbox::report(&cx, &ids, body);
                if let Err(fault) = cx.inbox.send(&bakehouse_protocol::InboxMessage::Report { report }).await {
                    // Its message is delivered again.
                    return tracing::warn!(build = %ids.build, attempt = ids.attempt, %fault, "can't report the end of a job");
                }
            }
            if let Err(fault) = cx.queue.delete(&receipt.queue, &receipt.handle).await {
                tracing::warn!(%fault, "can't delete a message");
            }
        });
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Ended(ids) => {
                self.job_table.ended(&ids);
                if self.jobs.get(&ids.build).is_some_and(|running| running.attempt == ids.attempt) {
                    self.jobs.remove(&ids.build);
                }
            }
            Event::Reported(ids) => {
                tracing::info!(build = %ids.build, attempt = ids.attempt, "job ended");
                self.job_table.reported(&ids);
            }
        }
        self.publish_state();
    }

    /// Starts the shutdown.
    fn close(&mut self) {
        tracing::info!(jobs = self.jobs.len(), drain = ?self.cx.settings.drain(), "agent stopping");
        notify(NotifyState::Stopping);
        self.job_table.close();
        self.publish_state();
    }

    fn request_stop(&self, build: &BuildId, request: StopRequest) {
        if let Some(running) = self.jobs.get(build) {
            running.stop.send_if_modified(|now| {
                // The first request counts.
                let first = *now == StopRequest::None;
                if first {
                    *now = request;
                }
                first
            });
        }
    }

    fn stop_all(&self, request: StopRequest) {
        self.jobs.keys().for_each(|build| self.request_stop(build, request));
    }

    fn delete(&mut self, receipt: Receipt) {
        let cx = Arc::clone(&self.cx);
        self.tasks.spawn(async move {
            if let Err(fault) = cx.queue.delete(&receipt.queue, &receipt.handle).await {
                tracing::warn!(%fault, "can't delete a message");
            }
        });
    }

    fn postpone(&mut self, receipt: Receipt) {
        let cx = Arc::clone(&self.cx);
        self.tasks.spawn(async move {
            if let Err(fault) = cx.queue.change_visibility(&receipt.queue, &receipt.handle, POSTPONE_SECONDS).await {
                tracing::warn!(%fault, "can't return a message to the queue");
            }
        });
    }

    fn publish_state(&self) {
        let (running, draining) = (self.job_table.running(), self.job_table.is_closed());
        let prefix = if draining { "stopping; " } else { "" };
        let status = format!("{prefix}{} of {} slots in use", self.jobs.len(), self.cx.host.slots);
        notify(NotifyState::Status(&status));
        self.state.send_if_modified(|state| {
            let changed = state.running != running || state.draining != draining;
            (state.running, state.draining) = (running, draining);
            changed
        });
    }

    fn remove_old(&mut self) {
        let now = self.cx.clock.now();
        // Reading removes old entries.
        if let Err(error) = self.cx.journal.all(now) {
            tracing::error!(%error, "can't read the journal");
        }
        let before = Timestamp(now.0.saturating_sub(RETENTION.0));
        let journal = &self.cx.journal;
        self.job_table.remove_old(before, |build| journal.entry(build).is_some());
    }
}

fn shared(receipt: Receipt) -> SharedReceipt {
    Arc::new(std::sync::Mutex::new(receipt))
}

/// Why a message is invalid, and its job, if that can be read.
struct InvalidMessage {
    job: Option<JobIds>,
    error: String,
}

fn parse(body: &str) -> Result<HostMessage, InvalidMessage> {
    #[derive(Deserialize)]
    struct JobOnly {
        job: JobIds,
    }
    let job = || serde_json::from_str::<JobOnly>(body).ok().map(|message| message.job);
    let envelope: Envelope<HostMessage> =
        serde_json::from_str(body).map_err(|error| InvalidMessage { job: job(), error: error.to_string() })?;
    if envelope.version != bakehouse_protocol::VERSION {
        return Err(InvalidMessage { job: job(), error: format!("it is of version {}", envelope.version) });
    }
    Ok(envelope.message)
}
