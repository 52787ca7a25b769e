//! The endpoint: receives requests, performs them, and answers.

use std::{
    cell::RefCell,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bakehouse_ec2::ApiError;
use bakehouse_protocol::{Timestamp, splitmix64::nth};
use hyper::Method;
use tokio::sync::broadcast;

use crate::EmbeddedCloud;
use crate::http::{
    Caller, Clock, Effect, Faults, Journal, JournalEntry, Notification, Params, actions,
    call::{Call, Performed},
    connection::{Answer, ConnectionDropped, HttpServer, Request, response},
    error_response,
    imds::{Metadata, MetadataService},
    sts,
    test_api::{self, TestApi, fault_error},
};

/// The settings of a server.
#[derive(Clone)]
pub struct Settings {
    /// The address to listen on; port 0 selects a free port.
    pub listen: SocketAddr,
    /// The account of the cloud.
    pub account: String,
    /// The seed of request ids.
    pub seed: u64,
    /// Returns the time of now.
    pub clock: Clock,
    /// What is served under `/latest/`, if anything. Packer requests the metadata at its `custom_endpoint_ec2`, too.
    pub metadata: Option<Metadata>,
    /// Whether to serve `/_bakehouse/`, for tests: the calls so far, faults to inject, notifications.
    pub test_api: bool,
    /// How often the test API polls the transitions that calls have begun.
    pub poll_interval: Duration,
}

impl Settings {
    /// A free port of the loopback address, the account 000000000000, no test API.
    pub fn new(seed: u64, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            account: "000000000000".to_owned(),
            seed,
            clock: Arc::new(clock),
            metadata: None,
            test_api: false,
            poll_interval: Duration::from_millis(50),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// An EC2 endpoint. It runs in a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    running: HttpServer,
}

/// The state that all requests share.
struct Shared {
    cloud: Arc<dyn EmbeddedCloud>,
    settings: Settings,
    metadata: Option<MetadataService>,
    test_api: TestApi,
    requests: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Server {
    /// Serves a cloud.
    ///
    /// # Errors
    /// The address can't be bound, or no thread started.
    pub fn start(cloud: Arc<dyn EmbeddedCloud>, settings: Settings) -> io::Result<Self> {
        let listen = settings.listen;
        let shared = Arc::new(Shared {
            cloud,
            metadata: settings.metadata.clone().map(MetadataService::new),
            test_api: TestApi::new(settings.test_api),
            settings,
            requests: AtomicU64::new(0),
        });
        let (answering, watching) = (Arc::clone(&shared), Arc::clone(&shared));
        let answer = move |request| {
            let shared = Arc::clone(&answering);
            async move { shared.answer(request).await }
        };
        let running = HttpServer::start("ec2-endpoint", listen, answer, async move { watching.watch().await })?;
        Ok(Self { shared, running })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The URL for clients: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The calls so far. Empty without [`Settings::test_api`].
    pub fn journal(&self) -> &Journal {
        &self.shared.test_api.journal
    }

    /// The calls so far, in the order in which they ended. Empty without [`Settings::test_api`].
    pub fn calls(&self) -> Vec<JournalEntry> {
        self.shared.test_api.journal.calls()
    }

    /// The faults to inject. Without [`Settings::test_api`] they have no effect.
    pub fn faults(&self) -> &Faults {
        &self.shared.test_api.faults
    }

    /// The notifications that EventBridge would send from now on. None without [`Settings::test_api`].
    pub fn notifications(&self) -> broadcast::Receiver<Notification> {
        self.shared.test_api.sender.subscribe()
    }
}

/// How a call ended.
struct Outcome {
    result: Result<String, ApiError>,
    performed: bool,
    dropped: bool,
}

impl Outcome {
    fn refused(error: ApiError) -> Self {
        Self { result: Err(error), performed: false, dropped: false }
    }
}

impl Shared {
    /// Watches the transitions that calls have begun. Does not return.
    async fn watch(self: Arc<Self>) {
        loop {
            self.test_api.watching().await;
            let this = Arc::clone(&self);
            let poll = move || {
                let now = (this.settings.clock)();
                this.test_api.poll(this.cloud.as_ref(), &this.settings.account, now);
            };
            // If it panicked, that has been printed.
            let _ = tokio::task::spawn_blocking(poll).await;
            tokio::time::sleep(self.settings.poll_interval).await;
        }
    }

    async fn answer(self: Arc<Self>, request: Request) -> Answer {
        if let Some(path) = request.path.strip_prefix("/_bakehouse/").filter(|_| self.test_api.is_enabled()) {
            return Ok(test_api::answer(&self.test_api, path, &request));
        }
        if request.path.starts_with("/latest/") {
            return Ok(match &self.metadata {
                Some(service) => service.answer(&request),
                None => response(404, "text/plain", "there is no instance metadata here\n"),
            });
        }
        if request.method != Method::POST && request.method != Method::GET {
            return Ok(response(405, "text/plain", "EC2 is called with POST or GET\n"));
        }
        self.serve(&request).await
    }

    async fn serve(self: Arc<Self>, request: &Request) -> Answer {
        let at = (self.settings.clock)();
        let request_id = self.request_id();
        let parsed = Params::parse(&[request.query.as_bytes(), &request.body]);
        let (params, invalid) = match parsed {
            Ok(params) => (params, None),
            Err(error) => (Params::default(), Some(error)),
        };
        let caller = Caller::read(request.header("authorization"), &params);
        let mut entry = JournalEntry {
            at,
            action: params.all().get("Action").cloned().unwrap_or_default(),
            region: caller.as_ref().ok().map(|caller| caller.region.clone()),
            access_key_id: caller.as_ref().ok().map(|caller| caller.access_key_id.clone()),
            user_agent: request.header("user-agent").map(ToOwned::to_owned),
            parameters: params.all().clone(),
            code: None,
            status: None,
            performed: false,
            fault: false,
        };
        entry.parameters.retain(|name, _| !name.starts_with("X-Amz-"));
        let outcome = match (invalid, caller) {
            (Some(error), _) | (None, Err(error)) => Outcome::refused(error),
            (None, Ok(caller)) => {
                let effect = self.test_api.fault(&entry.action, &caller.region);
                entry.fault = effect.is_some();
                Arc::clone(&self)
                    .perform_with_fault(effect, entry.action.clone(), params, caller, request_id.clone())
                    .await
            }
        };
        entry.performed = outcome.performed;
        let (status, body) = match outcome.result {
            Ok(body) => (200, body),
            Err(error) => {
                entry.code = Some(error.code.to_string());
                (error_response::status(&error), error_response::body(&error, &request_id))
            }
        };
        entry.status = (!outcome.dropped).then_some(status);
        self.test_api.record(entry);
        if outcome.dropped {
            return Err(ConnectionDropped);
        }
        let mut response = response(status, "text/xml;charset=UTF-8", body);
        if let Ok(id) = request_id.parse() {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        Ok(response)
    }

    /// Performs a call, affected by a fault or not.
    async fn perform_with_fault(
        self: Arc<Self>,
        effect: Option<Effect>,
        action: String,
        params: Params,
        caller: Caller,
        request_id: String,
    ) -> Outcome {
        let unanswered = || ApiError::new("InternalError", "The connection is dropped by a fault.");
        match &effect {
            Some(Effect::Error(code)) => return Outcome::refused(fault_error(code)),
            Some(Effect::Drop) => return Outcome { dropped: true, ..Outcome::refused(unanswered()) },
            Some(Effect::DelayMs(length)) => tokio::time::sleep(Duration::from_millis(*length)).await,
            Some(Effect::ErrorAfter(_) | Effect::DropAfter) | None => {}
        }
        let result = self.perform(action, params, caller, request_id).await;
        let outcome = Outcome { performed: result.is_ok(), dropped: false, result };
        match effect {
            Some(Effect::ErrorAfter(code)) => Outcome { result: Err(fault_error(&code)), ..outcome },
            Some(Effect::DropAfter) => Outcome { result: Err(unanswered()), dropped: true, ..outcome },
            _ => outcome,
        }
    }

    async fn perform(
        self: Arc<Self>,
        action: String,
        params: Params,
        caller: Caller,
        request_id: String,
    ) -> Result<String, ApiError> {
        // A call may copy a disk.
        let call = move || {
            let own = self.settings.account.as_str();
            let account = sts::account_of(&caller.access_key_id).unwrap_or(own);
            let other = (account != own).then(|| self.cloud.as_account(account));
            let now = (self.settings.clock)();
            let call = Call {
                cloud: other.as_ref().unwrap_or(&self.cloud).as_ref(),
                account,
                region: &caller.region,
                access_key_id: &caller.access_key_id,
                request_id: &request_id,
                params: &params,
                now,
                transitions: RefCell::default(),
            };
            let Performed { body, transitions } = actions::perform(&action, call)?;
            // EventBridge notifies the account of a resource.
            if other.is_none() {
                self.test_api.watch(now, &caller.region, transitions);
            }
            Ok(body)
        };
        match tokio::task::spawn_blocking(call).await {
            Ok(result) => result,
            // It panicked, and that has been printed.
            Err(_) => Err(fault_error("InternalError")),
        }
    }

    fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let (a, b) = (nth(self.settings.seed ^ number, 0), nth(!self.settings.seed ^ number, 0));
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 52,
            b & ((1 << 48) - 1)
        )
    }
}
