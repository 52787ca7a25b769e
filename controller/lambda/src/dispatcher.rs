//! One batch of the inbox: told apart, sorted by build, handled. Different builds beside each other, the messages of one
//! build one after the other. What failed is named, and only that: SQS delivers it again, and puts it aside (into the
//! dead-letter queue) after it has come too often.
//!
//! First what is about the stack as a whole (requests, hosts, releases, patrols), because builds follow from it; then
//! the builds.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_controller::{
    ports::{Clock, StoreError},
    stack::Registry,
};
use bakehouse_machine::{Event, build::PhaseName};
use bakehouse_protocol::{BuildId, BuildTarget, InboxMessage, Millis, Timestamp, chain, spec::Architecture};

use crate::{
    authorize,
    bounded_join::{AT_ONCE, Done, Task, bounded_join},
    fleet,
    hosts::{self, Going, HostTrouble, Known},
    incoming::{self, Incoming, short},
    metrics::{Metric, Metrics},
    reconcile,
    release::{self, ReleaseTrigger},
    request::{self, NotTaken},
    run::{self, Ran, Wait},
    stack::Stack,
};

/// A message of the inbox, as SQS hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// SQS's id of it: the same however often it comes.
    pub id: String,
    /// What it says.
    pub body: String,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// The how manieth time it comes, counted from 1.
    pub receives: u32,
    /// Who sent it: SQS's SenderId, not the message's own word.
    pub sender: Option<String>,
}

/// What must be left of an invocation when the last call is begun: time to answer, and for a call that hangs to be
/// given up.
pub const RESERVE: Millis = Millis::seconds(5);
/// What lives as long as the process.
#[derive(Debug, Default)]
pub struct Dispatcher {
    /// What is measured; whoever runs the desk writes it down after each batch.
    pub metrics: Metrics,
    hosts: Known,
}

/// Why a message failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Request(#[from] NotTaken),
    #[error(transparent)]
    Host(#[from] HostTrouble),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it can't be understood")]
    NotUnderstood,
}

/// What follows from a message that is about the stack as a whole.
#[derive(Default)]
struct Follows {
    /// These events, and the message has failed if they can't be handled.
    events: Vec<(BuildId, Event)>,
    /// This has happened to builds; should it not be handled, another message will come.
    hints: Vec<(BuildId, Event)>,
}

impl From<Vec<BuildId>> for Follows {
    fn from(builds: Vec<BuildId>) -> Self {
        Self { events: builds.into_iter().map(|id| (id, Event::Tick)).collect(), hints: vec![] }
    }
}

/// What has happened to one build, and which messages said so.
#[derive(Default)]
struct Group {
    events: Vec<Event>,
    records: BTreeSet<usize>,
}

impl Group {
    fn add(&mut self, event: Event, record: Option<usize>) {
        self.records.extend(record);
        // To look twice shows nothing new.
        let look = matches!(event, Event::Tick | Event::CheckNow);
        if !look || !self.events.contains(&event) {
            self.events.push(event);
        }
    }
}

impl Dispatcher {
    /// Handles a batch. Gives the ids of the messages that must come again. `deadline`: when the invocation is ended.
    pub async fn handle<P: Stack>(&self, pair: &P, mut batch: Vec<Record>, deadline: Timestamp) -> Vec<String> {
        let until = Timestamp(deadline.0.saturating_sub(RESERVE.0));
        // The queue keeps no order; where it can be had, it saves a look.
        batch.sort_by_key(|record| record.sent);
        let mut failed = BTreeSet::new();
        let mut groups: BTreeMap<BuildId, Group> = BTreeMap::new();
        let mut hints = Vec::new();
        let mut wide = Vec::new();
        for (at, record) in batch.iter().enumerate() {
            let incoming = incoming::read(&record.body);
            if !self.may_say(pair, record, &incoming) {
                continue;
            }
            match incoming {
                Incoming::Ours(message) => match *message {
                    InboxMessage::Report { report } => {
                        groups.entry(report.build.clone()).or_default().add(Event::Agent(report), Some(at));
                    }
                    InboxMessage::Tick { build } => groups.entry(build).or_default().add(Event::Tick, Some(at)),
                    InboxMessage::Cancel { build } => groups.entry(build).or_default().add(Event::Cancel, Some(at)),
                    message => wide.push((at, Incoming::Ours(Box::new(message)))),
                },
                Incoming::Hint { resources } => hints.extend(resources),
                other => wide.push((at, other)),
            }
        }
        self.hint(pair, &hints, &mut groups).await;
        let tasks = wide.iter().filter_map(|(at, incoming)| {
            let record = batch.get(*at)?;
            Some(Box::pin(self.stack_wide(pair, record, incoming, until)) as Task<'_, Result<Follows, Failed>>)
        });
        let done = bounded_join(tasks.collect(), AT_ONCE, pair.rest(until)).await;
        for ((at, _), done) in wide.iter().zip(done) {
            let Some(record) = batch.get(*at) else { continue };
            match done {
                Done::Finished(Ok(follows)) => {
                    for (build, event) in follows.events {
                        groups.entry(build).or_default().add(event, Some(*at));
                    }
                    for (build, event) in follows.hints {
                        groups.entry(build).or_default().add(event, None);
                    }
                }
                other => {
                    told(record, other);
                    failed.insert(*at);
                }
            }
        }
        let mut after = After::default();
        failed.extend(self.builds(pair, &batch, groups, until, &mut after).await);
        self.next_in_line(pair, after, until).await;
        failed.iter().filter_map(|at| batch.get(*at)).map(|record| record.id.clone()).collect()
    }

    /// Whether the sender may say this; if not, it is dropped.
    fn may_say<P: Stack>(&self, pair: &P, record: &Record, incoming: &Incoming) -> bool {
        let sender = record.sender.as_deref().unwrap_or("nobody");
        let may = authorize::may_say(&pair.config().host_role_id, sender, incoming);
        if !may {
            self.metrics.count(Metric::MessagesRefused);
            let body = short(&record.body);
            tracing::error!(message_id = record.id, sender, body, "this is not for the sender to say");
        }
        may
    }

    /// Gives EC2's hints to the builds that they are about. Most are about nothing of ours; and any may be lost.
    async fn hint<P: Stack>(&self, pair: &P, resources: &[String], groups: &mut BTreeMap<BuildId, Group>) {
        if resources.is_empty() {
            return;
        }
        match pair.registry().running().await {
            Ok(running) => {
                for build in running {
                    if build.resources.iter().any(|resource| resources.contains(resource)) {
                        groups.entry(build.id).or_default().add(Event::CheckNow, None);
                    }
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "the builds that a hint is about can't be found"),
        }
    }

    async fn builds<P: Stack>(
        &self,
        pair: &P,
        batch: &[Record],
        groups: BTreeMap<BuildId, Group>,
        until: Timestamp,
        after: &mut After,
    ) -> BTreeSet<usize> {
        let groups: Vec<(BuildId, Group)> = groups.into_iter().collect();
        let wait = if groups.len() > 1 { Wait::InStep } else { Wait::Alone };
        let tasks = groups.iter().map(|(id, group)| {
            let events = group.events.clone();
            Box::pin(run::run(pair, &self.metrics, id, events, wait, until)) as Task<'_, Result<Ran, StoreError>>
        });
        let done = bounded_join(tasks.collect(), AT_ONCE, pair.rest(until)).await;
        let mut failed = BTreeSet::new();
        for ((id, group), done) in groups.iter().zip(done) {
            let records = || group.records.iter().filter_map(|at| batch.get(*at).map(|record| (*at, record)));
            match done {
                Done::Finished(Ok(ran)) => after.add(&ran),
                Done::Finished(Err(StoreError::NotFound(_))) => {
                    for (at, record) in records() {
                        if may_come_yet(group, record) {
                            failed.insert(at);
                        }
                        tracing::warn!(build = %id, message_id = record.id, body = short(&record.body), "there is no such build");
                    }
                }
                Done::Finished(Err(error)) => {
                    let receives = records().map(|(_, record)| record.receives).max();
                    tracing::warn!(build = %id, receives, error = chain(&error), "a build can't be handled now");
                    failed.extend(group.records.iter().copied());
                }
                Done::Panicked(panic) => {
                    tracing::error!(build = %id, panic, "handling a build panicked: this is a bug");
                    failed.extend(group.records.iter().copied());
                }
                Done::OutOfTime => {
                    tracing::warn!(build = %id, "out of time: its messages come again");
                    failed.extend(group.records.iter().copied());
                }
            }
        }
        failed
    }

    /// Builds that wait for a slot take one that was given back just now, or have a host started. A wait is lost if this
    /// fails, and nothing else: each has its next look.
    async fn next_in_line<P: Stack>(&self, pair: &P, mut after: After, until: Timestamp) {
        if after.freed {
            match queued(pair).await {
                Ok(hints) => {
                    let mut groups: BTreeMap<BuildId, Group> = BTreeMap::new();
                    for (build, event) in hints {
                        groups.entry(build).or_default().add(event, None);
                    }
                    self.builds(pair, &[], groups, until, &mut after).await;
                }
                Err(error) => tracing::warn!(error = chain(&error), "the builds that wait can't be found"),
            }
        }
        if let Err(error) = fleet::start_for(pair, after.waiting).await {
            tracing::warn!(error = chain(&error), "no host can be started for the builds that wait");
        }
    }

    async fn stack_wide<P: Stack>(
        &self,
        pair: &P,
        record: &Record,
        incoming: &Incoming,
        until: Timestamp,
    ) -> Result<Follows, Failed> {
        let at = record.sent.unwrap_or_else(|| pair.clock().now());
        let nothing = Follows::default;
        Ok(match incoming {
            Incoming::Ours(message) => match message.as_ref() {
                InboxMessage::Request(request) => {
                    request::take(pair, &self.metrics, request, &record.id, at).await?.into()
                }
                InboxMessage::Host { host } => {
                    let has_room = hosts::report(pair, &self.hosts, host, at).await?;
                    Follows { events: vec![], hints: if has_room { queued(pair).await? } else { vec![] } }
                }
                InboxMessage::Drain { host, draining } => {
                    hosts::drain(pair, host, *draining, "it was asked for").await?;
                    nothing()
                }
                InboxMessage::Release => self.release(pair, ReleaseTrigger::Release, at).await?,
                InboxMessage::Patrol => self.patrol(pair).await?,
                InboxMessage::Report { .. } | InboxMessage::Tick { .. } | InboxMessage::Cancel { .. } => nothing(),
            },
            Incoming::Release { from } => {
                tracing::info!(from, "a release");
                self.release(pair, ReleaseTrigger::Release, at).await?
            }
            Incoming::Parameter { name } => self.release(pair, ReleaseTrigger::Parameter(name), at).await?,
            Incoming::Scheduled { name, event, at: time } => {
                self.scheduled(pair, name, event, time.unwrap_or(at)).await?
            }
            Incoming::HostLost { instance, state, at } => {
                let going = Going { instance, state, at: *at };
                hosts::lost(pair, &self.hosts, &self.metrics, going, until).await?;
                nothing()
            }
            Incoming::HostWarned { instance, why } => {
                if let Ok(host) = instance.as_str().parse() {
                    hosts::drain(pair, &host, true, why).await?;
                }
                nothing()
            }
            Incoming::Aside { what } => {
                tracing::debug!(what, "nothing follows");
                nothing()
            }
            Incoming::Refused { build, why } => {
                tracing::error!(message_id = record.id, %build, why, "a request is refused");
                request::refused(pair, &self.metrics, build, why).await?;
                nothing()
            }
            Incoming::NotUnderstood(why) => {
                self.metrics.count(Metric::MessagesNotUnderstood);
                let (body, receives) = (short(&record.body), record.receives);
                tracing::error!(message_id = record.id, receives, why, body, "a message that can't be understood");
                return Err(Failed::NotUnderstood);
            }
            // Sorted to their builds before.
            Incoming::Hint { .. } => nothing(),
        })
    }

    async fn release<P: Stack>(&self, pair: &P, trigger: ReleaseTrigger<'_>, at: Timestamp) -> Result<Follows, Failed> {
        Ok(release::build_new_releases(pair, &self.metrics, trigger, at).await?.into())
    }

    async fn patrol<P: Stack>(&self, pair: &P) -> Result<Follows, Failed> {
        let overdue = reconcile::patrol(pair, &self.hosts, &self.metrics).await?;
        Ok(Follows { events: vec![], hints: overdue.into_iter().map(|id| (id, Event::Tick)).collect() })
    }

    /// A schedule without an input: one that is called as a recipe builds it, any other is taken for a patrol.
    async fn scheduled<P: Stack>(&self, pair: &P, name: &str, event: &str, at: Timestamp) -> Result<Follows, Failed> {
        if name.is_empty() || pair.registry().recipe(name).await?.is_none() {
            tracing::info!(schedule = name, "a schedule without an input and without a recipe of its name: a patrol");
            return self.patrol(pair).await;
        }
        let request = bakehouse_protocol::Request {
            build: Some(request::id_of(event, at)),
            target: BuildTarget::Recipe(name.to_owned()),
            vars: BTreeMap::new(),
            scheduled: None,
        };
        Ok(request::take(pair, &self.metrics, &request, event, at).await?.into())
    }
}

/// What builds have left behind for others.
#[derive(Default)]
struct After {
    /// A slot was given back.
    freed: bool,
    /// Builds wait for a slot on a host of these architectures.
    waiting: BTreeSet<Architecture>,
}

impl After {
    fn add(&mut self, ran: &Ran) {
        self.freed |= ran.freed;
        self.waiting.extend(ran.build.as_ref().and_then(fleet::waits_for));
    }
}

/// The builds that wait for a slot, and the hint that there may be one.
async fn queued<P: Stack>(pair: &P) -> Result<Vec<(BuildId, Event)>, StoreError> {
    let running = pair.registry().running().await?;
    let waiting = running.into_iter().filter(|build| build.phase == PhaseName::Queued);
    Ok(waiting.map(|build| (build.id, Event::CheckNow)).collect())
}

/// A wish to cancel may overtake the request that it is about. It comes once more.
fn may_come_yet(group: &Group, record: &Record) -> bool {
    group.events.contains(&Event::Cancel) && record.receives <= 1
}

/// Logs why a message must come again.
fn told(record: &Record, done: Done<Result<Follows, Failed>>) {
    let message_id = &record.id;
    match done {
        Done::Finished(Ok(_)) | Done::Finished(Err(Failed::NotUnderstood)) => {}
        Done::Finished(Err(error)) => {
            tracing::warn!(message_id, receives = record.receives, error = chain(&error), "a message failed");
        }
        Done::Panicked(panic) => tracing::error!(message_id, panic, "handling a message panicked: this is a bug"),
        Done::OutOfTime => tracing::warn!(message_id, "out of time: the message comes again"),
    }
}
