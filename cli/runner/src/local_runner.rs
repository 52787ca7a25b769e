//! The backend of one machine: the agent as a child process and records in a directory. EC2 is the embedded cloud
//! ([`LocalRunner::open`]) or, on an EC2 instance, the real one ([`LocalRunner::with_ec2`]). A [`LocalRunner`] drives
//! each build in the thread that calls it, several at once in several; several runners may share a state directory, in
//! one process or in several.

use std::{
    collections::BTreeSet,
    fs::{DirBuilder, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::Duration,
};

use bakehouse_ec2::Ec2;
use bakehouse_localcloud::{LocalCloud, disks};
use bakehouse_machine::{Build, Event, Fault, Timing, build::NewBuild, resources::Lease};
use bakehouse_protocol::{BuildId, BuildSpec, HostId, Region, Report, ReportBody, Timestamp, chain};

use crate::{
    agents::{AnswerHandle, LocalAgents},
    leases::LeaseFile,
    mailboxes::{Mailbox, Mailboxes},
    message::Message,
    records::Records,
    reserve_file,
    settings::Settings,
};
use bakehouse_controller::{
    backend::Backend,
    clock::WallClock,
    cloud::{Cloud, NoParameters},
    drive::{Observer, handle},
    leasing::Host,
    mask::Mask,
    ports::{Clock, Inbox, Keys, LeaseRequest, Parameters, Store, StoreError, Version},
};

/// How often the file that requests cancelling is looked for.
const CANCEL_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Why a runner failed. A failed build is not an error of the runner.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The embedded cloud could not be opened.
    #[error("can't open the embedded cloud in {dir}")]
    Cloud {
        /// Its directory.
        dir: PathBuf,
        /// The cause.
        #[source]
        source: disks::LocalError,
    },
    /// The system returned no random numbers.
    #[error("can't get random numbers from the system: {0}")]
    Random(getrandom::Error),
}

/// A build to run.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// From [`LocalRunner::new_id`].
    pub id: BuildId,
    /// The build's spec.
    pub spec: BuildSpec,
    /// The recipe's name, for the tags.
    pub recipe: String,
    /// The directory of relative paths.
    pub files: String,
    /// Values that are masked in the agent's reports.
    pub sensitive: Mask,
    /// Whether what it has made stays if it fails.
    pub keep_failed: bool,
}

/// Cancels the builds that a runner runs. Cloneable, and usable from a signal-handling thread.
#[derive(Clone, Debug)]
pub struct CancelHandle {
    requested: Arc<AtomicBool>,
    mailboxes: Mailboxes,
}

impl CancelHandle {
    /// Whether cancelling was requested.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Cancels the running builds, and any that this runner starts later.
    pub fn cancel(&self) {
        self.requested.store(true, Ordering::SeqCst);
        self.mailboxes.check_cancel();
    }
}

/// Runs builds on this machine.
pub struct LocalRunner<E = LocalCloud, P = NoParameters> {
    settings: Settings,
    timing: Timing,
    cloud: Cloud<E, P>,
    agents: LocalAgents,
    store: LocalStore,
    clock: WallClock,
    mailboxes: Mailboxes,
    inbox: CancelRequests,
    cancel_handle: CancelHandle,
}

impl LocalRunner {
    /// Opens the runner with the embedded cloud in the state directory, which is created if missing.
    ///
    /// # Errors
    /// [`RunnerError`] naming what could not be opened.
    pub fn open(settings: Settings) -> Result<Self, RunnerError> {
        // First, as it creates the state directory.
        Records::open(&settings.state)?;
        let dir = settings.state.join("cloud");
        create_private_dir(&dir)?;
        let seed = getrandom::u64().map_err(RunnerError::Random)?;
        let clock = disks::Settings::new(seed, || WallClock.now());
        let cloud = LocalCloud::open(&dir, clock).map_err(|source| RunnerError::Cloud { dir: dir.clone(), source })?;
        let instance = cloud.instance(&settings.region).map_err(|source| RunnerError::Cloud { dir, source })?;
        let host_id = HostId::new("local")
            .map_err(|error| StoreError::Failed { operation: "naming this host".into(), source: Box::new(error) })?;
        let host = Host {
            id: host_id.clone(),
            instance: instance.instance_id,
            zone: instance.availability_zone,
            architecture: instance.architecture,
            slots: settings.slots,
        };
        let by_id = cloud.by_id();
        Self::with(settings, Timing::LOCAL, Cloud(cloud, NoParameters), host, Some(by_id))
    }

    /// The embedded cloud.
    pub fn cloud(&self) -> &LocalCloud {
        &self.cloud.0
    }
}

impl<E: Ec2, P: Parameters + Keys> LocalRunner<E, P> {
    /// Opens the runner with EC2 itself, on one of its instances: `host`. `by_id`: the directory of the links to disks
    /// by volume id, if not udev's.
    ///
    /// # Errors
    /// [`RunnerError`] naming what could not be opened.
    pub fn with_ec2(
        settings: Settings,
        cloud: Cloud<E, P>,
        host: Host,
        by_id: Option<PathBuf>,
    ) -> Result<Self, RunnerError> {
        Self::with(settings, Timing::AWS, cloud, host, by_id)
    }

    fn with(
        settings: Settings,
        timing: Timing,
        cloud: Cloud<E, P>,
        host: Host,
        by_id: Option<PathBuf>,
    ) -> Result<Self, RunnerError> {
        let records = Records::open(&settings.state)?;
        let mailboxes = Mailboxes::default();
        let requested = Arc::new(AtomicBool::new(false));
        reserve_file::create(&settings.state);
        Ok(Self {
            agents: LocalAgents::new(&settings, host.id.clone(), by_id, mailboxes.clone()),
            store: LocalStore {
                records: records.clone(),
                leases: LeaseFile::new(settings.state.join("leases.json"), host),
            },
            cloud,
            clock: WallClock,
            mailboxes: mailboxes.clone(),
            inbox: CancelRequests { requested: requested.clone(), records, reported: Mutex::default() },
            cancel_handle: CancelHandle { requested, mailboxes },
            settings,
            timing,
        })
    }

    /// The build records.
    pub fn records(&self) -> &Records {
        &self.store.records
    }

    /// Removes the reserve file, for operations on a full disk that free space themselves.
    pub fn free_reserve(&self) {
        reserve_file::remove(&self.settings.state);
    }

    /// Returns the settings of the agent's jobs.
    pub fn agent_settings(&self) -> &bakehouse_agent::Settings {
        self.agents.settings()
    }

    /// Returns the region in which it builds.
    pub fn region(&self) -> &Region {
        &self.settings.region
    }

    /// Returns a handle that cancels the running builds.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel_handle.clone()
    }

    /// Returns a handle that answers builds that wait for a person.
    pub fn answer_handle(&self) -> AnswerHandle {
        self.agents.answer_handle()
    }

    /// Returns the id of a new build.
    ///
    /// # Errors
    /// [`RunnerError::Random`].
    pub fn new_id(&self) -> Result<BuildId, RunnerError> {
        let random = getrandom::u32().map_err(RunnerError::Random)?;
        Ok(BuildId::from_parts(self.clock.now().0 / 1000, random))
    }

    /// Runs a new build to its end.
    ///
    /// # Errors
    /// [`RunnerError`] if its record can't be saved; its resources are then left to the next sweep.
    pub fn build(&self, request: BuildRequest, observer: &mut (dyn Observer + Send)) -> Result<Build, RunnerError> {
        let new = NewBuild {
            id: request.id.clone(),
            spec: request.spec,
            region: self.settings.region.clone(),
            recipe: request.recipe,
            files: request.files,
            bundle: None,
            timing: self.timing.clone(),
        };
        let build = Build { keep_failed: request.keep_failed, ..Build::new(new, self.clock.now()) };
        let _owner = self.records().create_with(&build, &self.settings.access)?;
        let mailbox = self.mailboxes.open(&request.id);
        match self.run(&mailbox, Event::Tick, &request.sensitive, observer) {
            Err(RunnerError::Store(error)) => self.undo_unsaved(&mailbox, error, &request.sensitive, observer),
            other => other,
        }
    }

    /// Undoes a build whose record could not be saved, most likely because the disk is full: stops its job, removes the
    /// reserve file to make room for the record, and cancels the build.
    fn undo_unsaved(
        &self,
        mailbox: &Mailbox,
        error: StoreError,
        mask: &Mask,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Build, RunnerError> {
        self.agents.stop_and_wait(&mailbox.build);
        reserve_file::remove(&self.settings.state);
        let message = chain(&error);
        // If it fails again, the first error is returned; the record is left to the next sweep.
        self.run(mailbox, Event::RunnerFailed { message }, mask, observer).map_err(|_| RunnerError::Store(error))
    }

    /// Undoes the build of a dead process, or removes what one that has ended has left. `None`: a living process drives
    /// it.
    ///
    /// # Errors
    /// [`RunnerError`] if its record can't be saved.
    pub fn undo_orphaned(
        &self,
        id: &BuildId,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Option<Build>, RunnerError> {
        let Some(_owner) = self.records().own(id)? else { return Ok(None) };
        let has_ended = self.records().load(id)?.0.phase.has_ended();
        let first = if has_ended { Event::RemoveLeftovers } else { Event::Cancel };
        let (build, _) = pollster::block_on(handle(self, id, first, observer))?;
        if build.phase.has_ended() {
            return Ok(Some(build));
        }
        self.run(&self.mailboxes.open(id), Event::Resume, &Mask::default(), observer).map(Some)
    }

    fn run(
        &self,
        mailbox: &Mailbox,
        first: Event,
        mask: &Mask,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Build, RunnerError> {
        let id = &mailbox.build;
        let mut log = ReportLog::open(&self.records().log(id));
        let mut event = first;
        loop {
            let (build, next_tick) = pollster::block_on(handle(self, id, event, observer))?;
            if build.phase.has_ended() {
                self.agents.remove(id);
                return Ok(build);
            }
            if is_undone_without_space(&build) {
                reserve_file::remove(&self.settings.state);
            }
            event = loop {
                if let Some(event) = self.inbox.urgent(id) {
                    break event;
                }
                match self.wait(mailbox, next_tick) {
                    WaitResult::Message(Message::Report(mut report)) => {
                        mask.hide(&mut report);
                        observer.report_received(&report);
                        log.write(&report);
                        // Output is only shown: the record is not saved for each line.
                        if !matches!(
                            report.body,
                            ReportBody::Output { .. } | ReportBody::Note(_) | ReportBody::Waiting(_)
                        ) {
                            break Event::Agent(*report);
                        }
                    }
                    WaitResult::Message(Message::CheckCancel) | WaitResult::PollInterval => {}
                    WaitResult::TickDue => break Event::Tick,
                }
            };
        }
    }

    /// Waits for a message or the next tick, at most for the interval at which cancelling is checked.
    fn wait(&self, mailbox: &Mailbox, next_tick: Option<Timestamp>) -> WaitResult {
        let left = next_tick.map_or(CANCEL_POLL_INTERVAL, |at| at.since(self.clock.now()).into());
        match mailbox.messages.recv_timeout(left.min(CANCEL_POLL_INTERVAL)) {
            Ok(message) => WaitResult::Message(message),
            Err(RecvTimeoutError::Timeout) if left > CANCEL_POLL_INTERVAL => WaitResult::PollInterval,
            // The mailboxes hold its sender, so the channel is never disconnected.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => WaitResult::TickDue,
        }
    }
}

/// Creates a directory with access for its owner only, as disks may contain secrets.
fn create_private_dir(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| StoreError::Failed {
        operation: format!("making the directory {}", dir.display()),
        source: Box::new(source),
    })
}

/// Whether a build can't be undone because the disk is full: the record may still fit where the state of the embedded
/// cloud, which is larger, does not.
fn is_undone_without_space(build: &Build) -> bool {
    let no_space = std::io::Error::from_raw_os_error(nix::libc::ENOSPC).to_string();
    let is_full = |failing: &bakehouse_machine::FailingCommand| failing.fault.message.contains(&no_space);
    matches!(build.phase, bakehouse_machine::Phase::Undoing(_)) && build.failing.iter().any(is_full)
}

enum WaitResult {
    Message(Message),
    PollInterval,
    TickDue,
}

/// The agent's reports, one JSON object on each line. A failure to write it does not stop the build.
struct ReportLog(Option<File>);

impl ReportLog {
    fn open(path: &std::path::Path) -> Self {
        Self(OpenOptions::new().create(true).append(true).mode(0o600).open(path).ok())
    }

    fn write(&mut self, report: &Report) {
        if let (Some(file), Ok(mut line)) = (&mut self.0, serde_json::to_vec(report)) {
            line.push(b'\n');
            let _ = file.write_all(&line);
        }
    }
}

impl<E: Ec2, P: Parameters + Keys> Backend for LocalRunner<E, P> {
    type Ec2 = E;
    type Parameters = P;
    type Agents = LocalAgents;
    type Store = LocalStore;
    type Inbox = CancelRequests;
    type Clock = WallClock;

    fn cloud(&self) -> &Cloud<E, P> {
        &self.cloud
    }
    fn agents(&self) -> &Self::Agents {
        &self.agents
    }
    fn store(&self) -> &Self::Store {
        &self.store
    }
    fn inbox(&self) -> &Self::Inbox {
        &self.inbox
    }
    fn clock(&self) -> &Self::Clock {
        &self.clock
    }
}

/// The inbox of one process: it has only requests to cancel, from the [`CancelHandle`] or from another process by the
/// build's `cancel` file. Ticks need no message, as [`handle`] returns when the next is due.
pub struct CancelRequests {
    requested: Arc<AtomicBool>,
    records: Records,
    /// The builds whose cancellation has been returned, as that is done once.
    reported: Mutex<BTreeSet<BuildId>>,
}

impl Inbox for CancelRequests {
    async fn wake(&self, _: &BuildId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    fn urgent(&self, id: &BuildId) -> Option<Event> {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let is_requested = self.requested.load(Ordering::SeqCst) || self.records.is_cancel_requested(id);
        // Inserted only if it is cancelled.
        (is_requested && reported.insert(id.clone())).then_some(Event::Cancel)
    }
}

/// Records and leases in the state directory.
pub struct LocalStore {
    records: Records,
    leases: LeaseFile,
}

impl LocalStore {
    /// Whether no process drives the holder of a lease any more.
    fn is_dead(&self, id: &BuildId) -> bool {
        matches!(self.records.is_owned(id), Ok(false))
    }
}

impl Store for LocalStore {
    async fn load(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        self.records.load(id)
    }
    async fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        self.records.save(build, version)
    }
    async fn lease(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        self.leases.lease(request, WallClock.now(), |id| self.is_dead(id))
    }
    async fn renew(&self, build: &BuildId, _: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        self.leases.renew(build, until)
    }
    async fn release(&self, build: &BuildId, _: &Lease) -> Result<(), Fault> {
        self.leases.release(build)
    }
}
