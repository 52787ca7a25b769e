//! Fakes of what the daemon uses: a queue with visibility timeouts, an inbox, a log, bundles and jobs, all in memory.
#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bakehouse_agent::VolumeCheck;
use bakehouse_protocol::{
    BuildId, BundleRef, Envelope, Fault, FaultKind, HostMessage, HostReport, InboxMessage, InstanceId, Job, Outcome,
    Region, Report, ReportBody, StackConfig, Timestamp, VERSION, VolumeId, Zone, spec::Architecture,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{self, Instant},
};

use crate::{
    context::Context,
    daemon::{self, Ended},
    host::Host,
    journal::Journal,
    ports::{BoxFuture, Bundles, Clock, Identity, Inbox, JobEvent, Jobs, Line, Logs, Message, Queue, Running},
    settings::Settings,
};

struct Queued {
    id: String,
    body: String,
    sent: Timestamp,
    hidden_until: Instant,
    receipt: u32,
}

/// A job that was started.
#[derive(Clone)]
pub(crate) struct Started {
    pub(crate) job: Job,
    to: mpsc::Sender<JobEvent>,
    stopped: Arc<Mutex<bool>>,
}

impl Started {
    pub(crate) async fn report(&self, body: ReportBody) {
        let Job { build, attempt, .. } = self.job.clone();
        let host = bakehouse_protocol::HostId::new("i-01234567").unwrap();
        let at = Timestamp(0);
        self.to.send(JobEvent::Report(Report { version: VERSION, build, host, attempt, at, body })).await.unwrap();
    }

    pub(crate) async fn end(&self, outcome: Outcome) {
        self.report(ReportBody::Ended(outcome)).await;
    }

    pub(crate) async fn die(&self) {
        self.to.send(JobEvent::Died("signal 9".into())).await.unwrap();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap()
    }
}

pub(crate) struct State {
    began: Instant,
    pub(crate) queue_exists: bool,
    messages: Vec<Queued>,
    numbers: u32,
    /// How many messages were received, repeated ones included.
    pub(crate) received_count: usize,
    pub(crate) inbox: Vec<InboxMessage>,
    pub(crate) inbox_is_down: bool,
    pub(crate) log: Vec<(String, String)>,
    pub(crate) log_is_down: bool,
    pub(crate) log_hangs: bool,
    pub(crate) started: Vec<Started>,
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) check_volume: VolumeCheck,
}

#[derive(Clone)]
pub(crate) struct FakeServices(Arc<Mutex<State>>);

impl FakeServices {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn send(&self, message: HostMessage) {
        self.send_text(serde_json::to_string(&Envelope::new(message)).unwrap());
    }

    pub(crate) fn send_text(&self, body: String) {
        let sent = self.now();
        let mut state = self.state();
        state.numbers += 1;
        let id = format!("m{}", state.numbers);
        state.messages.push(Queued { id, body, sent, hidden_until: Instant::now(), receipt: 0 });
    }

    /// The number of messages that are not deleted.
    pub(crate) fn undeleted(&self) -> usize {
        self.state().messages.len()
    }

    /// Makes every message visible at once, as if its visibility timeout were over.
    pub(crate) fn unhide_all(&self) {
        self.state().messages.iter_mut().for_each(|message| message.hidden_until = Instant::now());
    }

    /// Receives the visible messages, which hides them.
    fn take(&self) -> Result<Vec<Message>, Fault> {
        let mut state = self.state();
        if !state.queue_exists {
            return Err(not_found("it is gone".into()));
        }
        let now = Instant::now();
        let ready = state.messages.iter_mut().filter(|message| message.hidden_until <= now);
        let received = ready.map(|message| {
            message.hidden_until = now + Duration::from_secs(u64::from(crate::queue_poller::VISIBILITY_SECONDS));
            message.receipt += 1;
            let receipt = format!("{}#{}", message.id, message.receipt);
            Message { id: message.id.clone(), receipt, body: message.body.clone(), sent: message.sent }
        });
        let received: Vec<_> = received.collect();
        state.received_count += received.len();
        Ok(received)
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        let reports = self.state().inbox.clone().into_iter().filter_map(|message| match message {
            InboxMessage::Report { report } => Some(report),
            _ => None,
        });
        reports.collect()
    }

    pub(crate) fn outcomes(&self) -> Vec<(u32, Outcome)> {
        let ends = self.reports().into_iter().filter_map(|report| match report.body {
            ReportBody::Ended(outcome) => Some((report.attempt, outcome)),
            _ => None,
        });
        ends.collect()
    }

    pub(crate) fn host_reports(&self) -> Vec<HostReport> {
        let hosts = self.state().inbox.clone().into_iter().filter_map(|message| match message {
            InboxMessage::Host { host } => Some(host),
            _ => None,
        });
        hosts.collect()
    }
}

impl Clock for FakeServices {
    fn now(&self) -> Timestamp {
        let since = self.state().began.elapsed();
        Timestamp(1_000_000 + u64::try_from(since.as_millis()).unwrap())
    }
}

fn down(what: &str) -> Fault {
    unavailable(format!("{what} is down"))
}

fn unavailable(message: String) -> Fault {
    Fault::new(FaultKind::Ambiguous, message)
}

fn not_found(message: String) -> Fault {
    Fault::new(FaultKind::NotFound, message)
}

impl Queue for FakeServices {
    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            if self.state().queue_exists { Ok(format!("url:{name}")) } else { Err(not_found("none".into())) }
        })
    }

    fn receive<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<Message>, Fault>> {
        Box::pin(async move {
            assert_eq!(url, "url:bakehouse-host-i-01234567");
            for _ in 0..200 {
                let received = self.take()?;
                if !received.is_empty() {
                    return Ok(received);
                }
                time::sleep(Duration::from_millis(100)).await;
            }
            Ok(Vec::new())
        })
    }

    fn delete<'a>(&'a self, _: &'a str, receipt: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut state = self.state();
            let before = state.messages.len();
            state.messages.retain(|message| format!("{}#{}", message.id, message.receipt) != receipt);
            if state.messages.len() < before { Ok(()) } else { Err(unavailable(format!("{receipt} is no good"))) }
        })
    }

    fn change_visibility<'a>(&'a self, _: &'a str, receipt: &'a str, seconds: u32) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut state = self.state();
            let found =
                state.messages.iter_mut().find(|message| format!("{}#{}", message.id, message.receipt) == receipt);
            let message = found.ok_or_else(|| unavailable(format!("{receipt} is no good")))?;
            message.hidden_until = Instant::now() + Duration::from_secs(u64::from(seconds));
            Ok(())
        })
    }
}

impl Inbox for FakeServices {
    fn send<'a>(&'a self, message: &'a InboxMessage) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut state = self.state();
            if state.inbox_is_down {
                return Err(down("the inbox"));
            }
            state.inbox.push(message.clone());
            Ok(())
        })
    }
}

impl Bundles for FakeServices {
    fn fetch<'a>(&'a self, bundle: &'a BundleRef) -> BoxFuture<'a, Result<Vec<u8>, Fault>> {
        Box::pin(async move {
            let found = self.state().objects.get(&bundle.key).cloned();
            found.ok_or_else(|| not_found(format!("there is no {}", bundle.key)))
        })
    }
}

impl Logs for FakeServices {
    fn put<'a>(&'a self, stream: &'a str, lines: &'a [Line]) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            if self.state().log_hangs {
                std::future::pending::<()>().await;
            }
            let mut state = self.state();
            if state.log_is_down {
                return Err(down("the log"));
            }
            assert!(lines.len() <= 100 && lines.is_sorted_by_key(|line| line.at));
            state.log.extend(lines.iter().map(|line| (stream.to_owned(), line.text.clone())));
            Ok(())
        })
    }
}

impl Jobs for FakeServices {
    fn start<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Running, String>> {
        Box::pin(async move {
            let (to, events) = mpsc::channel(1000);
            let stopped = Arc::new(Mutex::new(false));
            self.state().started.push(Started { job: job.clone(), to, stopped: Arc::clone(&stopped) });
            Ok(Running { events, stop: Box::new(move || *stopped.lock().unwrap() = true) })
        })
    }

    fn check_volume<'a>(&'a self, _: &'a BuildId, _: &'a VolumeId) -> BoxFuture<'a, VolumeCheck> {
        Box::pin(async move { self.state().check_volume.clone() })
    }

    fn clear(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move { Vec::new() })
    }
}

/// A daemon that uses the fakes.
pub(crate) struct DaemonFixture {
    pub(crate) fake: FakeServices,
    pub(crate) dir: tempfile::TempDir,
    signals: mpsc::Sender<()>,
    daemon: JoinHandle<Result<Ended, String>>,
}

pub(crate) fn fake() -> FakeServices {
    let proof = crate::admission::untouched();
    FakeServices(Arc::new(Mutex::new(State {
        began: Instant::now(),
        queue_exists: true,
        messages: Vec::new(),
        numbers: 0,
        received_count: 0,
        inbox: Vec::new(),
        inbox_is_down: false,
        log: Vec::new(),
        log_is_down: false,
        log_hangs: false,
        started: Vec::new(),
        objects: BTreeMap::new(),
        check_volume: VolumeCheck::Free(proof),
    })))
}

pub(crate) fn settings(dir: &Path) -> Settings {
    let text = include_str!("../dist/agent.json");
    let mut settings: Settings = serde_json::from_str(text).unwrap();
    settings.stack = StackConfig { allow_host_access: false, ..settings.stack };
    settings.work_dir = dir.join("lib");
    settings.run_dir = dir.join("run");
    settings
}

impl DaemonFixture {
    pub(crate) fn new() -> Self {
        Self::with(fake(), tempfile::tempdir().unwrap(), |_| {})
    }

    pub(crate) fn with(fake: FakeServices, dir: tempfile::TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(dir.path());
        change(&mut settings);
        std::fs::create_dir_all(settings.bundles()).unwrap();
        let identity = Identity {
            instance: InstanceId::new("i-01234567").unwrap(),
            region: Region::new("us-east-1").unwrap(),
            zone: Zone::new("us-east-1a").unwrap(),
            architecture: Architecture::X86_64,
        };
        let mut host = Host::find(identity, &settings).unwrap();
        host.slots = 2;
        let cx = Context {
            journal: Journal::open(&settings.journal()).unwrap(),
            settings,
            host,
            queue: Arc::new(fake.clone()),
            inbox: Arc::new(fake.clone()),
            bundles: Arc::new(fake.clone()),
            logs: Arc::new(fake.clone()),
            clock: Arc::new(fake.clone()),
            jobs: Arc::new(fake.clone()),
        };
        let (signals, receiver) = mpsc::channel(2);
        let daemon = tokio::spawn(daemon::run(Arc::new(cx), receiver));
        Self { fake, dir, signals, daemon }
    }

    pub(crate) async fn signal(&self) {
        self.signals.send(()).await.unwrap();
    }

    pub(crate) async fn wait(self) -> Ended {
        self.daemon.await.unwrap().unwrap()
    }

    /// Ends the daemon as `kill -9` does; the next one can be started with the same files.
    pub(crate) async fn kill(self) -> (FakeServices, tempfile::TempDir) {
        self.daemon.abort();
        let _ = self.daemon.await;
        self.fake.state().started.clear();
        (self.fake, self.dir)
    }

    /// Waits until something holds, for an hour at most (of virtual time).
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        is: impl Fn(&FakeServices) -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let at = std::panic::Location::caller();
        async move {
            let end = Instant::now() + Duration::from_secs(3600);
            while !is(&self.fake) {
                assert!(Instant::now() < end, "{at}: {what}");
                time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The n-th job that was started, counted from 0.
    #[track_caller]
    pub(crate) fn started_job(&self, n: usize) -> impl Future<Output = Started> + '_ {
        let wait = self.until("a job is started", move |fake| fake.state().started.len() > n);
        async move {
            wait.await;
            self.fake.state().started[n].clone()
        }
    }
}
