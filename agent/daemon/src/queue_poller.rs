//! Polls the host's queue. The controller creates it at the host's first report, so it may not exist yet; and it may be
//! removed while it is polled.

use std::{sync::Arc, time::Duration};

use bakehouse_protocol::{Fault, FaultKind};
use tokio::{
    sync::{mpsc, watch},
    time,
};

use crate::{context::Context, host_reports::State, ports::Message};

/// The visibility time-out of a received message in seconds, extended at half of it while its job runs. Short, because
/// a message that is received while the daemon ends is lost until it is over.
pub const VISIBILITY_SECONDS: u32 = 60;
/// The interval at which a missing queue is looked up.
const MISSING_QUEUE_INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait after an error.
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// A message and the queue that it came from.
#[derive(Clone, Debug)]
pub struct Received {
    /// The queue's URL.
    pub queue: Arc<str>,
    /// The message.
    pub message: Message,
}

/// Receives messages and forwards them until the receiver is dropped.
pub async fn poll_queue(cx: Arc<Context>, to: mpsc::Sender<Received>, state: watch::Sender<State>) {
    let name = cx.settings.queue_name(&cx.host.id);
    let mut backoff = Backoff::default();
    let mut is_missing = false;
    loop {
        let url: Arc<str> = match cx.queue.find(&name).await {
            Ok(url) => url.into(),
            Err(fault) if fault.kind == FaultKind::NotFound => {
                if !is_missing {
                    tracing::info!(queue = name, "queue missing, waiting for the controller to create it");
                    state.send_modify(|state| state.listening = false);
                }
                is_missing = true;
                time::sleep(MISSING_QUEUE_INTERVAL).await;
                continue;
            }
            Err(fault) => {
                backoff.wait(&fault).await;
                continue;
            }
        };
        is_missing = false;
        tracing::info!(queue = name, "polling the queue");
        state.send_modify(|state| state.listening = true);
        loop {
            match cx.queue.receive(&url).await {
                Ok(messages) => {
                    backoff = Backoff::default();
                    for message in messages {
                        if to.send(Received { queue: Arc::clone(&url), message }).await.is_err() {
                            return;
                        }
                    }
                }
                Err(fault) if fault.kind == FaultKind::NotFound => {
                    tracing::warn!(queue = name, %fault, "queue is gone");
                    state.send_modify(|state| state.listening = false);
                    break;
                }
                Err(fault) => backoff.wait(&fault).await,
            }
            if to.is_closed() {
                return;
            }
        }
    }
}

/// Waits after errors, longer each time.
#[derive(Default)]
struct Backoff(Option<Duration>);

impl Backoff {
    async fn wait(&mut self, fault: &Fault) {
        let wait = self.0.map_or(Duration::from_secs(1), |last| (last * 2).min(MAX_RETRY_INTERVAL));
        tracing::warn!(%fault, retry_seconds = wait.as_secs(), "can't poll the queue, retrying");
        self.0 = Some(wait);
        time::sleep(wait).await;
    }
}
