//! Handles one batch of the inbox: parses the messages, groups them by build and handles each group. Different builds
//! run concurrently, the messages of one build in sequence. Only failed messages are reported to SQS, which delivers
//! them again, and moves them to the dead-letter queue after too many attempts.
//!
//! Messages about the whole stack (requests, hosts, releases, reconciliation) come first, because they create events
//! for builds.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_controller::{
    ports::{Clock, StoreError},
    stack::Registry,
};
use bakehouse_machine::{Event, build::PhaseName};
use bakehouse_protocol::{BuildId, BuildTarget, InboxMessage, Millis, Timestamp, chain, spec::Architecture};

use crate::{
    authorize,
    bounded_join::{MAX_CONCURRENT, Task, TaskOutcome, bounded_join},
    fleet,
    hosts::{self, HostCache, HostError, InstanceChange},
    incoming::{self, Incoming, excerpt},
    metrics::{Metric, Metrics},
    reconcile,
    release::{self, ReleaseTrigger},
    request::{self, RequestError},
    run::{self, RunResult, WaitMode},
    stack::Stack,
};

/// A message of the inbox, as SQS delivers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    /// SQS's message id: the same at each delivery.
    pub id: String,
    /// Its body.
    pub body: String,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// How often it has been delivered, this time included.
    pub receives: u32,
    /// SQS's SenderId, not a claim of the message itself.
    pub sender: Option<String>,
}

/// The time that must be left of an invocation when the last call starts: enough to time out a call and to respond.
pub const RESERVE: Millis = Millis::seconds(5);

/// Handles batches. Lives as long as the process.
#[derive(Debug, Default)]
pub struct Dispatcher {
    /// The metrics, which the caller writes after each batch.
    pub metrics: Metrics,
    host_cache: HostCache,
}

/// Why a message failed.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("invalid message")]
    Invalid,
}

/// The events for builds that a message about the whole stack leads to.
#[derive(Default)]
struct FollowUps {
    /// The message has failed if one of these can't be handled.
    required: Vec<(BuildId, Event)>,
    /// These may be lost: another message follows.
    optional: Vec<(BuildId, Event)>,
}

impl From<Vec<BuildId>> for FollowUps {
    fn from(builds: Vec<BuildId>) -> Self {
        Self { required: builds.into_iter().map(|id| (id, Event::Tick)).collect(), optional: vec![] }
    }
}

/// The events of one build, and the messages that they come from.
#[derive(Default)]
struct Group {
    events: Vec<Event>,
    records: BTreeSet<usize>,
}

impl Group {
    fn add(&mut self, event: Event, record: Option<usize>) {
        self.records.extend(record);
        // A second check shows nothing new.
        let is_check = matches!(event, Event::Tick | Event::CheckNow);
        if !is_check || !self.events.contains(&event) {
            self.events.push(event);
        }
    }
}

impl Dispatcher {
    /// Handles a batch. Returns the ids of the messages that must be delivered again. `deadline`: when Lambda ends the
    /// invocation.
    pub async fn handle<S: Stack>(&self, stack: &S, mut batch: Vec<QueuedMessage>, deadline: Timestamp) -> Vec<String> {
        let until = Timestamp(deadline.0.saturating_sub(RESERVE.0));
        // The queue keeps no order; in the order of sending, fewer checks are needed.
        batch.sort_by_key(|record| record.sent);
        let mut failed = BTreeSet::new();
        let mut groups: BTreeMap<BuildId, Group> = BTreeMap::new();
        let mut changed_resources = Vec::new();
        let mut stack_messages = Vec::new();
        for (at, record) in batch.iter().enumerate() {
            let incoming = incoming::parse(&record.body);
            if !self.is_authorized(stack, record, &incoming) {
                continue;
            }
            match incoming {
                Incoming::Message(message) => match *message {
                    InboxMessage::Report { report } => {
                        groups.entry(report.build.clone()).or_default().add(Event::Agent(report), Some(at));
                    }
                    InboxMessage::Tick { build } => groups.entry(build).or_default().add(Event::Tick, Some(at)),
                    InboxMessage::Cancel { build } => groups.entry(build).or_default().add(Event::Cancel, Some(at)),
                    message => stack_messages.push((at, Incoming::Message(Box::new(message)))),
                },
                Incoming::ResourcesChanged { resources } => changed_resources.extend(resources),
                other => stack_messages.push((at, other)),
            }
        }
        self.check_changed(stack, &changed_resources, &mut groups).await;
        let tasks = stack_messages.iter().filter_map(|(at, incoming)| {
            let record = batch.get(*at)?;
            Some(Box::pin(self.handle_stack_message(stack, record, incoming, until))
                as Task<'_, Result<FollowUps, MessageError>>)
        });
        let done = bounded_join(tasks.collect(), MAX_CONCURRENT, stack.sleep_until(until)).await;
        for ((at, _), done) in stack_messages.iter().zip(done) {
            let Some(record) = batch.get(*at) else { continue };
            match done {
                TaskOutcome::Completed(Ok(follow_ups)) => {
                    for (build, event) in follow_ups.required {
                        groups.entry(build).or_default().add(event, Some(*at));
                    }
                    for (build, event) in follow_ups.optional {
                        groups.entry(build).or_default().add(event, None);
                    }
                }
                other => {
                    log_failure(record, other);
                    failed.insert(*at);
                }
            }
        }
        let mut slots = SlotChanges::default();
        failed.extend(self.builds(stack, &batch, groups, until, &mut slots).await);
        self.serve_queue(stack, slots, until).await;
        failed.iter().filter_map(|at| batch.get(*at)).map(|record| record.id.clone()).collect()
    }

    /// Whether the sender may send this message; if not, the message is dropped.
    fn is_authorized<S: Stack>(&self, stack: &S, record: &QueuedMessage, incoming: &Incoming) -> bool {
        let sender = record.sender.as_deref().unwrap_or("nobody");
        let is_authorized = authorize::is_authorized(&stack.config().host_role_id, sender, incoming);
        if !is_authorized {
            self.metrics.count(Metric::MessagesRefused);
            let body = excerpt(&record.body);
            tracing::error!(message_id = record.id, sender, body, "unauthorized message dropped");
        }
        is_authorized
    }

    /// Adds a check to each build that owns a changed resource. Most notifications are about other resources, and any
    /// may be lost.
    async fn check_changed<S: Stack>(&self, stack: &S, resources: &[String], groups: &mut BTreeMap<BuildId, Group>) {
        if resources.is_empty() {
            return;
        }
        match stack.registry().running().await {
            Ok(running) => {
                for build in running {
                    if build.resources.iter().any(|resource| resources.contains(resource)) {
                        groups.entry(build.id).or_default().add(Event::CheckNow, None);
                    }
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "can't list the builds for a notification"),
        }
    }

    async fn builds<S: Stack>(
        &self,
        stack: &S,
        batch: &[QueuedMessage],
        groups: BTreeMap<BuildId, Group>,
        until: Timestamp,
        slots: &mut SlotChanges,
    ) -> BTreeSet<usize> {
        let groups: Vec<(BuildId, Group)> = groups.into_iter().collect();
        let wait = if groups.len() > 1 { WaitMode::Aligned } else { WaitMode::Exact };
        let tasks = groups.iter().map(|(id, group)| {
            let events = group.events.clone();
            Box::pin(run::run(stack, &self.metrics, id, events, wait, until)) as Task<'_, Result<RunResult, StoreError>>
        });
        let done = bounded_join(tasks.collect(), MAX_CONCURRENT, stack.sleep_until(until)).await;
        let mut failed = BTreeSet::new();
        for ((id, group), done) in groups.iter().zip(done) {
            let records = || group.records.iter().filter_map(|at| batch.get(*at).map(|record| (*at, record)));
            match done {
                TaskOutcome::Completed(Ok(result)) => slots.add(&result),
                TaskOutcome::Completed(Err(StoreError::NotFound(_))) => {
                    for (at, record) in records() {
                        if may_arrive_later(group, record) {
                            failed.insert(at);
                        }
                        tracing::warn!(build = %id, message_id = record.id, body = excerpt(&record.body), "message for an unknown build");
                    }
                }
                TaskOutcome::Completed(Err(error)) => {
                    let receives = records().map(|(_, record)| record.receives).max();
                    tracing::warn!(build = %id, receives, error = chain(&error), "can't handle a build's events");
                    failed.extend(group.records.iter().copied());
                }
                TaskOutcome::Panicked(panic) => {
                    tracing::error!(build = %id, panic, "panic while handling a build: this is a bug");
                    failed.extend(group.records.iter().copied());
                }
                TaskOutcome::TimedOut => {
                    tracing::warn!(build = %id, "no time left for a build: its messages are delivered again");
                    failed.extend(group.records.iter().copied());
                }
            }
        }
        failed
    }

    /// Lets queued builds take the slots that were just released, or starts hosts for them. If this fails, the builds
    /// wait for their next tick.
    async fn serve_queue<S: Stack>(&self, stack: &S, mut slots: SlotChanges, until: Timestamp) {
        if slots.freed {
            match check_queued(stack).await {
                Ok(checks) => {
                    let mut groups: BTreeMap<BuildId, Group> = BTreeMap::new();
                    for (build, event) in checks {
                        groups.entry(build).or_default().add(event, None);
                    }
                    self.builds(stack, &[], groups, until, &mut slots).await;
                }
                Err(error) => tracing::warn!(error = chain(&error), "can't list the queued builds"),
            }
        }
        if let Err(error) = fleet::start_for(stack, slots.waiting).await {
            tracing::warn!(error = chain(&error), "can't start a host for the queued builds");
        }
    }

    async fn handle_stack_message<S: Stack>(
        &self,
        stack: &S,
        record: &QueuedMessage,
        incoming: &Incoming,
        until: Timestamp,
    ) -> Result<FollowUps, MessageError> {
        let at = record.sent.unwrap_or_else(|| stack.clock().now());
        let none = FollowUps::default;
        Ok(match incoming {
            Incoming::Message(message) => match message.as_ref() {
                InboxMessage::Request(request) => {
                    request::accept(stack, &self.metrics, request, &record.id, at).await?.into()
                }
                InboxMessage::Host { host } => {
                    let has_room = hosts::report(stack, &self.host_cache, host, at).await?;
                    FollowUps { required: vec![], optional: if has_room { check_queued(stack).await? } else { vec![] } }
                }
                InboxMessage::Drain { host, draining } => {
                    hosts::drain(stack, host, *draining, "drain message").await?;
                    none()
                }
                InboxMessage::Release => self.release(stack, ReleaseTrigger::Release, at).await?,
                InboxMessage::Patrol => self.reconcile(stack).await?,
                InboxMessage::Report { .. } | InboxMessage::Tick { .. } | InboxMessage::Cancel { .. } => none(),
            },
            Incoming::Release { from } => {
                tracing::info!(from, "release notice");
                self.release(stack, ReleaseTrigger::Release, at).await?
            }
            Incoming::ParameterChanged { name } => self.release(stack, ReleaseTrigger::Parameter(name), at).await?,
            Incoming::Scheduled { name, event, at: time } => {
                self.scheduled(stack, name, event, time.unwrap_or(at)).await?
            }
            Incoming::HostLost { instance, state, at } => {
                let change = InstanceChange { instance, state, at: *at };
                hosts::lost(stack, &self.host_cache, &self.metrics, change, until).await?;
                none()
            }
            Incoming::HostDraining { instance, why } => {
                if let Ok(host) = instance.as_str().parse() {
                    hosts::drain(stack, &host, true, why).await?;
                }
                none()
            }
            Incoming::Ignored { what } => {
                tracing::debug!(what, "message ignored");
                none()
            }
            Incoming::RejectedRequest { build, why } => {
                tracing::error!(message_id = record.id, %build, why, "request rejected");
                request::reject_unreadable(stack, &self.metrics, build, why).await?;
                none()
            }
            Incoming::Invalid(why) => {
                self.metrics.count(Metric::MessagesNotUnderstood);
                let (body, receives) = (excerpt(&record.body), record.receives);
                tracing::error!(message_id = record.id, receives, why, body, "invalid message");
                return Err(MessageError::Invalid);
            }
            // Added to their builds already.
            Incoming::ResourcesChanged { .. } => none(),
        })
    }

    async fn release<S: Stack>(
        &self,
        stack: &S,
        trigger: ReleaseTrigger<'_>,
        at: Timestamp,
    ) -> Result<FollowUps, MessageError> {
        Ok(release::build_new_releases(stack, &self.metrics, trigger, at).await?.into())
    }

    async fn reconcile<S: Stack>(&self, stack: &S) -> Result<FollowUps, MessageError> {
        let overdue = reconcile::reconcile(stack, &self.host_cache, &self.metrics).await?;
        Ok(FollowUps { required: vec![], optional: overdue.into_iter().map(|id| (id, Event::Tick)).collect() })
    }

    /// Handles a schedule without an input: builds the recipe of the same name, or reconciles if there is none.
    async fn scheduled<S: Stack>(
        &self,
        stack: &S,
        name: &str,
        event: &str,
        at: Timestamp,
    ) -> Result<FollowUps, MessageError> {
        if name.is_empty() || stack.registry().recipe(name).await?.is_none() {
            tracing::info!(schedule = name, "schedule names no recipe, reconciling");
            return self.reconcile(stack).await;
        }
        let request = bakehouse_protocol::Request {
            build: Some(request::id_of(event, at)),
            target: BuildTarget::Recipe(name.to_owned()),
            vars: BTreeMap::new(),
            scheduled: None,
        };
        Ok(request::accept(stack, &self.metrics, &request, event, at).await?.into())
    }
}

/// What builds of this batch changed about the hosts' slots.
#[derive(Default)]
struct SlotChanges {
    /// A slot was released.
    freed: bool,
    /// Builds wait for a slot on a host of these architectures.
    waiting: BTreeSet<Architecture>,
}

impl SlotChanges {
    fn add(&mut self, result: &RunResult) {
        self.freed |= result.freed;
        self.waiting.extend(result.build.as_ref().and_then(fleet::waits_for));
    }
}

/// Returns a check for each build that waits for a slot.
async fn check_queued<S: Stack>(stack: &S) -> Result<Vec<(BuildId, Event)>, StoreError> {
    let running = stack.registry().running().await?;
    let waiting = running.into_iter().filter(|build| build.phase == PhaseName::Queued);
    Ok(waiting.map(|build| (build.id, Event::CheckNow)).collect())
}

/// A cancellation may arrive before the request that creates its build: it is delivered once more.
fn may_arrive_later(group: &Group, record: &QueuedMessage) -> bool {
    group.events.contains(&Event::Cancel) && record.receives <= 1
}

/// Logs why a message must be delivered again.
fn log_failure(record: &QueuedMessage, done: TaskOutcome<Result<FollowUps, MessageError>>) {
    let message_id = &record.id;
    match done {
        TaskOutcome::Completed(Ok(_)) | TaskOutcome::Completed(Err(MessageError::Invalid)) => {}
        TaskOutcome::Completed(Err(error)) => {
            tracing::warn!(message_id, receives = record.receives, error = chain(&error), "message failed");
        }
        TaskOutcome::Panicked(panic) => {
            tracing::error!(message_id, panic, "panic while handling a message: this is a bug")
        }
        TaskOutcome::TimedOut => tracing::warn!(message_id, "no time left for a message: it is delivered again"),
    }
}
