//! The place: this machine, with the agent as a child process and records in a directory. EC2 is the embedded cloud
//! ([`LocalRunner::open`]) or, on an EC2 instance, the real one ([`LocalRunner::against`]). One [`LocalRunner`] drives one build at
//! a time; several may share a state directory, each in its own process.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use bakehouse_ec2::Ec2;
use bakehouse_localcloud::{LocalCloud, disks};
use bakehouse_machine::{Build, Event, Fault, Timing, build::NewBuild, resources::Lease};
use bakehouse_protocol::{BuildId, BuildSpec, HostId, Report, ReportBody, Timestamp, chain};

use crate::{
    agents::LocalAgents, leases::LeaseFile, message::Message, records::Records, reserve_file, settings::Settings,
};
use bakehouse_controller::{
    backend::Backend,
    clock::WallClock,
    cloud::{Cloud, NoParameters},
    drive::{Observer, handle},
    leasing::Host,
    mask::Mask,
    ports::{Clock, Inbox, LeaseRequest, Parameters, Store, StoreError, Version},
};

/// How often the file that asks for cancelling is looked for.
const CANCEL_LOOK: Duration = Duration::from_millis(200);

/// Why a runner could not do its work. That a build failed is not among it.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The embedded cloud could not be opened.
    #[error("opening the embedded cloud in {dir}")]
    Cloud {
        /// Where it is kept.
        dir: PathBuf,
        /// The cause.
        #[source]
        source: disks::LocalError,
    },
    /// The system gave no random numbers.
    #[error("asking the system for random numbers: {0}")]
    Random(getrandom::Error),
}

/// What a build is made from.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// From [`LocalRunner::new_id`].
    pub id: BuildId,
    /// What the user asked for.
    pub spec: BuildSpec,
    /// The recipe's name, for the tags.
    pub recipe: String,
    /// The directory that relative paths are taken from.
    pub files: String,
    /// Values that the agent's words are kept without.
    pub sensitive: Mask,
}

/// Asks the build that runs in this process to end. Cloneable, and usable from a signal-handling thread.
#[derive(Clone, Debug)]
pub struct CancelHandle {
    wish: Arc<AtomicBool>,
    messages: Sender<Message>,
}

impl CancelHandle {
    /// Asks it to end; and any that this process begins later.
    pub fn cancel(&self) {
        self.wish.store(true, Ordering::SeqCst);
        // Only wakes whoever waits. That nobody listens means that nothing runs.
        let _ = self.messages.send(Message::LookUp);
    }
}

/// The place where builds run on this machine.
pub struct LocalRunner<E = LocalCloud, P = NoParameters> {
    settings: Settings,
    timing: Timing,
    cloud: Cloud<E, P>,
    agents: LocalAgents,
    store: LocalStore,
    clock: WallClock,
    messages: Mutex<Receiver<Message>>,
    inbox: CancelRequests,
    remote: CancelHandle,
}

impl LocalRunner {
    /// Opens, or begins, the place with the embedded cloud kept in the state directory.
    ///
    /// # Errors
    /// [`RunnerError`] naming what could not be opened.
    pub fn open(settings: Settings) -> Result<Self, RunnerError> {
        // First of all: it makes the state directory.
        Records::open(&settings.state)?;
        let dir = settings.state.join("cloud");
        private(&dir)?;
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

impl<E: Ec2, P: Parameters> LocalRunner<E, P> {
    /// Opens, or begins, the place kept in the state directory with EC2 itself, on one of its instances: `host`.
    ///
    /// # Errors
    /// [`RunnerError`] naming what could not be opened.
    /// `by_id`: where the links to disks by volume id are, if not where udev makes them.
    pub fn against(
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
        let (sender, receiver) = mpsc::channel();
        let wish = Arc::new(AtomicBool::new(false));
        reserve_file::lay(&settings.state);
        Ok(Self {
            agents: LocalAgents::new(&settings, host.id.clone(), by_id, sender.clone()),
            store: LocalStore {
                records: records.clone(),
                leases: LeaseFile::new(settings.state.join("leases.json"), host),
            },
            cloud,
            clock: WallClock,
            messages: Mutex::new(receiver),
            inbox: CancelRequests { remote: wish.clone(), records, told: Mutex::default() },
            remote: CancelHandle { wish, messages: sender },
            settings,
            timing,
        })
    }

    /// The build records.
    pub fn records(&self) -> &Records {
        &self.store.records
    }

    /// Gives up the room that is kept for undoing on a full disk. For acts that make room themselves.
    pub fn make_room(&self) {
        reserve_file::drop(&self.settings.state);
    }

    /// What the agent's jobs are set up with; what [`bakehouse_agent::recover`] needs.
    pub fn agent_settings(&self) -> &bakehouse_agent::Settings {
        self.agents.settings()
    }

    /// A handle that asks the build that runs to end.
    pub fn remote(&self) -> CancelHandle {
        self.remote.clone()
    }

    /// A name for a new build.
    ///
    /// # Errors
    /// [`RunnerError::Random`].
    pub fn new_id(&self) -> Result<BuildId, RunnerError> {
        let random = getrandom::u32().map_err(RunnerError::Random)?;
        Ok(BuildId::from_parts(self.clock.now().0 / 1000, random))
    }

    /// Runs a new build to its end, whichever that is.
    ///
    /// # Errors
    /// [`RunnerError`] if its record can't be kept; what it has made is then left to the next sweep.
    pub fn build(&self, order: BuildRequest, watch: &mut (dyn Observer + Send)) -> Result<Build, RunnerError> {
        let new = NewBuild {
            id: order.id.clone(),
            spec: order.spec,
            region: self.settings.region.clone(),
            recipe: order.recipe,
            files: order.files,
            bundle: None,
            timing: self.timing.clone(),
        };
        let _owner = self.records().create_with(&Build::new(new, self.clock.now()), &self.settings.access)?;
        match self.run(&order.id, Event::Tick, &order.sensitive, watch) {
            Err(RunnerError::Store(error)) => self.rescue(&order.id, error, &order.sensitive, watch),
            other => other,
        }
    }

    /// The record could not be kept, most likely because the disk is full. Nothing new may be done without it, but what
    /// runs can be stopped; then there is room to undo in, if need be that of the reserve file.
    fn rescue(
        &self,
        id: &BuildId,
        error: StoreError,
        mask: &Mask,
        watch: &mut (dyn Observer + Send),
    ) -> Result<Build, RunnerError> {
        self.agents.end(id);
        reserve_file::drop(&self.settings.state);
        let message = chain(&error);
        // If it fails again, the first error is the one to tell; the record is there for the next sweep.
        self.run(id, Event::RunnerFailed { message }, mask, watch).map_err(|_| RunnerError::Store(error))
    }

    /// Undoes what a dead process's build has left, to its end. `None`: a living process has it.
    ///
    /// # Errors
    /// [`RunnerError`] if its record can't be kept.
    pub fn finish_off(&self, id: &BuildId, watch: &mut (dyn Observer + Send)) -> Result<Option<Build>, RunnerError> {
        let Some(_owner) = self.records().own(id)? else { return Ok(None) };
        let (build, _) = pollster::block_on(handle(self, id, Event::Cancel, watch))?;
        if build.phase.has_ended() {
            return Ok(Some(build));
        }
        self.run(id, Event::Resume, &Mask::default(), watch).map(Some)
    }

    fn run(
        &self,
        id: &BuildId,
        first: Event,
        mask: &Mask,
        watch: &mut (dyn Observer + Send),
    ) -> Result<Build, RunnerError> {
        let mut log = Log::open(&self.records().log(id));
        let mut event = first;
        loop {
            let (build, next_tick) = pollster::block_on(handle(self, id, event, watch))?;
            if build.phase.has_ended() {
                self.agents.forget(id);
                return Ok(build);
            }
            event = loop {
                if let Some(event) = self.inbox.urgent(id) {
                    break event;
                }
                match self.wait(next_tick) {
                    Waited::For(Message::Report(mut report)) if &report.build == id => {
                        mask.hide(&mut report);
                        watch.report_received(&report);
                        log.write(&report);
                        // Output is for people: the record need not be saved for every line of it.
                        if !matches!(report.body, ReportBody::Output { .. } | ReportBody::Note(_)) {
                            break Event::Agent(*report);
                        }
                    }
                    Waited::For(Message::Report(_) | Message::LookUp) | Waited::ALittle => {}
                    Waited::UntilThen => break Event::Tick,
                }
            };
        }
    }

    /// Waits for a message or for the time to look again, but never so long that a wish to cancel goes unseen.
    fn wait(&self, next_tick: Option<Timestamp>) -> Waited {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let left = next_tick.map_or(CANCEL_LOOK, |at| at.since(self.clock.now()).into());
        match messages.recv_timeout(left.min(CANCEL_LOOK)) {
            Ok(message) => Waited::For(message),
            Err(RecvTimeoutError::Timeout) if left > CANCEL_LOOK => Waited::ALittle,
            // The runner itself holds a sender: that all are gone can't be.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Waited::UntilThen,
        }
    }
}

/// Makes a directory that is for its owner only: disks hold whatever the images hold.
fn private(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| StoreError::Failed {
        operation: format!("making the directory {}", dir.display()),
        source: Box::new(source),
    })
}

enum Waited {
    For(Message),
    ALittle,
    UntilThen,
}

/// What the agent said, a JSON object a line. A log that can't be written stops no build.
struct Log(Option<File>);

impl Log {
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

impl<E: Ec2, P: Parameters> Backend for LocalRunner<E, P> {
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

/// In one process there is no message to send oneself ([`handle`] says when to look again), but a wish to cancel: by the
/// [`CancelHandle`], or by another process through the build's `cancel` file.
pub struct CancelRequests {
    remote: Arc<AtomicBool>,
    records: Records,
    /// The build that has been told: once is enough.
    told: Mutex<Option<BuildId>>,
}

impl Inbox for CancelRequests {
    async fn wake(&self, _: &BuildId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    fn urgent(&self, id: &BuildId) -> Option<Event> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let wished = self.remote.load(Ordering::SeqCst) || self.records.is_asked_to_cancel(id);
        if !wished || told.as_ref() == Some(id) {
            return None;
        }
        *told = Some(id.clone());
        Some(Event::Cancel)
    }
}

/// Records and leases in the state directory.
pub struct LocalStore {
    records: Records,
    leases: LeaseFile,
}

impl LocalStore {
    /// Whether the holder of a lease is in nobody's hands. One that ended has given its lease back or died over it.
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
