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
    desk::{Desk, StopVerdict, Verdict},
    host::{State, announce, take_leave},
    journal::{Entry, Ids, REMEMBERED},
    listen::{Received, listen},
    notify::Notify,
    outbox::Outbox,
    refuse::{failed, untouched},
    say,
    work::{self, Event, Receipt, SharedReceipt, Wish, finish, work},
    world::World,
};

/// For how many seconds a message that is given back stays hidden.
const LATER: u32 = 5;
/// How often a build is begun at most (`Pace::attempts`): a word on one of which nothing is known is said for each.
const ATTEMPTS: u32 = 3;
/// How long ends may take to be said when everything else is over. The journal keeps them.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// How long jobs that were cancelled may take: their keeper kills them after three minutes.
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
    wish: watch::Sender<Wish>,
}

struct Daemon {
    world: Arc<World>,
    desk: Desk,
    held: BTreeMap<BuildId, Held>,
    tasks: JoinSet<()>,
    events: mpsc::UnboundedSender<Event>,
    state: watch::Sender<State>,
    notify: Notify,
}

/// When the way out takes its next step.
enum Way {
    On,
    /// Jobs may go on until then.
    Draining(Instant),
    /// They were cancelled, and are waited for until then.
    Cancelled(Instant),
    /// No job is at work any more; what is still to be said has until then.
    LastWords(Instant),
}

/// Serves the host's queue until it is told to end by `signals`.
///
/// # Errors
/// The journal can't be read.
pub async fn run(world: Arc<World>, notify: Notify, mut signals: mpsc::Receiver<()>) -> Result<Ended, String> {
    let (events, mut event) = mpsc::unbounded_channel();
    let (state, states) = watch::channel(State::default());
    let beat = notify.beat();
    let desk = Desk::new(world.host.slots);
    let held = BTreeMap::new();
    let mut daemon = Daemon { world, desk, held, tasks: JoinSet::new(), events, state, notify };
    daemon.remember()?;
    daemon.tell_state();
    // Ended with this function: nobody needs them any more.
    let mut helpers = JoinSet::new();
    helpers.spawn(announce(Arc::clone(&daemon.world), states));
    let (to, mut received) = mpsc::channel(1);
    helpers.spawn(listen(Arc::clone(&daemon.world), to, daemon.state.clone()));
    daemon.notify.ready();
    let mut watchdog = time::interval(beat.unwrap_or(HOUSEKEEPING));
    let mut housekeeping = time::interval(HOUSEKEEPING);
    let mut way = Way::On;
    loop {
        if matches!(way, Way::Draining(_) | Way::Cancelled(_)) && daemon.held.is_empty() {
            way = Way::LastWords(Instant::now() + LAST_WORDS);
        }
        let limit = match &way {
            Way::On => None,
            Way::LastWords(_) if daemon.tasks.is_empty() => break,
            Way::Draining(until) | Way::Cancelled(until) | Way::LastWords(until) => Some(*until),
        };
        tokio::select! {
            Some(received) = received.recv() => daemon.message(received),
            Some(event) = event.recv() => daemon.event(event),
            Some(_) = daemon.tasks.join_next() => {}
            _ = watchdog.tick() => daemon.notify.alive(),
            _ = housekeeping.tick() => daemon.forget(),
            told = signals.recv() => match way {
                Way::On if told.is_some() => {
                    way = Way::Draining(Instant::now() + daemon.world.settings.drain());
                    daemon.close();
                }
                _ => return Ok(Ended::AtOnce),
            },
            () = time::sleep_until(limit.unwrap_or_else(Instant::now)), if limit.is_some() => match way {
                Way::Draining(_) => {
                    way = Way::Cancelled(Instant::now() + CANCELLED);
                    daemon.wish_all(Wish::Shutdown);
                }
                // The journal has what could not be said.
                _ => break,
            },
        }
    }
    // An idle host ends sooner than it would say so otherwise.
    let last = daemon.state.borrow().clone();
    take_leave(&daemon.world, last).await;
    Ok(Ended::Drained)
}

impl Daemon {
    /// What earlier lives have begun and not ended, or ended and not said.
    fn remember(&mut self) -> Result<(), String> {
        let (entries, unreadable) =
            self.world.journal.all(self.world.clock.now()).map_err(|error| error.to_string())?;
        for path in unreadable {
            say::error(format!("{} cannot be read, so nothing is said of its job", path.display()));
        }
        let mut cut_off = Vec::new();
        for Entry { ids, ended, told, .. } in entries {
            match ended {
                Some(_) if told => self.desk.told(&ids),
                Some(outcome) => self.end(ids, outcome, None),
                None => {
                    self.desk.ending(&ids);
                    cut_off.push(ids);
                }
            }
        }
        let (world, events) = (Arc::clone(&self.world), self.events.clone());
        self.tasks.spawn(async move {
            for ids in cut_off {
                say::warning(format!("an earlier life of this agent was ended while it worked on {}", ids.build));
                let why = "the agent was ended while it ran, and has begun anew".to_owned();
                let outcome = work::lost(&world, &ids, why).await;
                let outbox = Outbox::open(Arc::clone(&world), ids.clone());
                finish(&world, &ids, outcome, outbox, None, &events).await;
            }
            for what in world.jobs.clear().await {
                say::warning(format!("left by an earlier life of this agent: {what}"));
            }
        });
        Ok(())
    }

    /// Says an end that nobody works for any more.
    fn end(&mut self, ids: Ids, outcome: Outcome, receipt: Option<SharedReceipt>) {
        self.desk.ending(&ids);
        let (world, events) = (Arc::clone(&self.world), self.events.clone());
        self.tasks.spawn(async move {
            let outbox = Outbox::open(Arc::clone(&world), ids.clone());
            finish(&world, &ids, outcome, outbox, receipt.as_ref(), &events).await;
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
                say::error(format!("a message that is none of ours is deleted: {what}"));
                self.delete(receipt);
            }
        }
    }

    fn job(&mut self, job: Job, message: &str, sent: Timestamp, receipt: Receipt) {
        let ids = Ids::of(&job);
        let lost = |why: &str| Outcome::Lost { why: why.to_owned(), proof: Some(untouched()) };
        let waited = self.world.clock.now().since(sent);
        match self.desk.job(&ids, message, sent) {
            Verdict::Begin if waited > job.disk_deadline => {
                // The controller has taken this host for lost meanwhile, and the volume from it: waiting for the disk
                // would only keep a slot from builds that are wanted.
                self.end(ids, lost(&format!("its job waited {waited} for this host")), Some(shared(receipt)));
            }
            Verdict::Begin => {
                say::info(format!("{} begins (attempt {})", ids.build, ids.attempt));
                let (wish, wishes) = watch::channel(Wish::GoOn);
                let receipt = shared(receipt);
                let held = Held { attempt: ids.attempt, receipt: Arc::clone(&receipt), wish };
                self.held.insert(ids.build, held);
                let (world, events) = (Arc::clone(&self.world), self.events.clone());
                self.tasks.spawn(work(world, job, receipt, wishes, events));
                self.tell_state();
            }
            Verdict::Adopt => {
                if let Some(held) = self.held.get(&ids.build) {
                    *held.receipt.lock().unwrap_or_else(PoisonError::into_inner) = receipt;
                }
            }
            Verdict::Delete => self.delete(receipt),
            Verdict::Later => self.later(receipt),
            Verdict::StopOlder => {
                self.wish(&ids.build, Wish::Newer);
                self.later(receipt);
            }
            Verdict::Stopped => self.end(ids, lost("it was told to stop before it began"), Some(shared(receipt))),
            Verdict::Closed => self.end(ids, lost("the host is shutting down"), Some(shared(receipt))),
        }
    }

    fn stop(&mut self, build: &BuildId, sent: Timestamp, receipt: Receipt) {
        match self.desk.stop(build, sent) {
            StopVerdict::Stop => self.wish(build, Wish::Stop),
            StopVerdict::Wait | StopVerdict::Stale => {}
            StopVerdict::SayAgain => match self.world.journal.entry(build) {
                Some(Entry { ids, ended: Some(outcome), .. }) => return self.answer(vec![(ids, outcome)], receipt),
                _ => return self.unknown(build, receipt),
            },
            StopVerdict::Unknown => return self.unknown(build, receipt),
        }
        self.delete(receipt);
    }

    /// The build waits for our word, and we know nothing of it.
    fn unknown(&mut self, build: &BuildId, receipt: Receipt) {
        say::info(format!("told to stop {build}, of which nothing is known here"));
        // No word of the report is of the volume.
        let Ok(volume) = VolumeId::new("vol-00000000") else { return };
        let lost = Outcome::Lost { why: "this host knows of no such job".to_owned(), proof: None };
        let all = (1..=ATTEMPTS).map(|attempt| Ids { build: build.clone(), attempt, volume: volume.clone() });
        self.answer(all.map(|ids| (ids, lost.clone())).collect(), receipt);
    }

    /// Answers a wish to stop by the ends of these jobs, which nobody waits to be told of; then deletes it.
    fn answer(&mut self, ends: Vec<(Ids, Outcome)>, receipt: Receipt) {
        let world = Arc::clone(&self.world);
        self.tasks.spawn(async move {
            for (ids, outcome) in ends {
                let body = bakehouse_protocol::ReportBody::Ended(outcome);
                let report = crate::outbox::report(&world, &ids, body);
                if let Err(trouble) = world.inbox.send(&bakehouse_protocol::InboxMessage::Report { report }).await {
                    // Its message comes again.
                    return say::warning(format!("reporting on {}: {trouble}", ids.build));
                }
            }
            if let Err(trouble) = world.queue.delete(&receipt.queue, &receipt.handle).await {
                say::warning(trouble);
            }
        });
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Ending(ids) => {
                self.desk.ending(&ids);
                if self.held.get(&ids.build).is_some_and(|held| held.attempt == ids.attempt) {
                    self.held.remove(&ids.build);
                }
            }
            Event::Told(ids) => {
                say::info(format!("{} has ended (attempt {})", ids.build, ids.attempt));
                self.desk.told(&ids);
            }
        }
        self.tell_state();
    }

    /// The way out begins.
    fn close(&mut self) {
        say::info(format!("stopping: {} builds may go on for {:?}", self.held.len(), self.world.settings.drain()));
        self.notify.stopping();
        self.desk.close();
        self.tell_state();
    }

    fn wish(&self, build: &BuildId, wish: Wish) {
        if let Some(held) = self.held.get(build) {
            held.wish.send_if_modified(|now| {
                // The first reason to stop stays the reason.
                let first = *now == Wish::GoOn;
                if first {
                    *now = wish;
                }
                first
            });
        }
    }

    fn wish_all(&self, wish: Wish) {
        self.held.keys().for_each(|build| self.wish(build, wish));
    }

    fn delete(&mut self, receipt: Receipt) {
        let world = Arc::clone(&self.world);
        self.tasks.spawn(async move {
            if let Err(trouble) = world.queue.delete(&receipt.queue, &receipt.handle).await {
                say::warning(trouble);
            }
        });
    }

    fn later(&mut self, receipt: Receipt) {
        let world = Arc::clone(&self.world);
        self.tasks.spawn(async move {
            if let Err(trouble) = world.queue.hide(&receipt.queue, &receipt.handle, LATER).await {
                say::warning(trouble);
            }
        });
    }

    fn tell_state(&self) {
        let (running, draining) = (self.desk.running(), self.desk.is_closed());
        let word = if draining { "stopping; " } else { "" };
        self.notify.status(&format!("{word}{} of {} slots in use", self.held.len(), self.world.host.slots));
        self.state.send_if_modified(|state| {
            let changed = state.running != running || state.draining != draining;
            (state.running, state.draining) = (running, draining);
            changed
        });
    }

    fn forget(&mut self) {
        let now = self.world.clock.now();
        // Reading removes what is old.
        if let Err(error) = self.world.journal.all(now) {
            say::error(error);
        }
        let before = Timestamp(now.0.saturating_sub(REMEMBERED.0));
        let journal = &self.world.journal;
        self.desk.forget(before, |build| journal.entry(build).is_some());
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
