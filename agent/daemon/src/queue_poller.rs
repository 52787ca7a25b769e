//! Listening to the host's queue. The controller makes it when it hears of the host for the first time, so it may not be
//! there yet; and it may go while we listen.

use std::{sync::Arc, time::Duration};

use bakehouse_protocol::{Fault, FaultKind};
use tokio::{
    sync::{mpsc, watch},
    time,
};

use crate::{context::Context, host_reports::State, ports::Message};

/// For how many seconds a message that was received is hidden from the next look; extended at half of it while its job
/// is at work. Short, for a look that is under way when the daemon ends may still take a message, which then nobody has
/// until this time is over.
pub const HIDDEN: u32 = 60;
/// Between two looks for a queue that is not there.
const LOOK: Duration = Duration::from_secs(5);
/// The longest wait after an error.
const LONGEST: Duration = Duration::from_secs(30);

/// A message and the queue that it came from.
#[derive(Clone, Debug)]
pub struct Received {
    /// The queue's URL.
    pub queue: Arc<str>,
    /// The message.
    pub message: Message,
}

/// Passes on what comes, until nobody wants it any more.
pub async fn listen(cx: Arc<Context>, to: mpsc::Sender<Received>, state: watch::Sender<State>) {
    let name = cx.settings.queue_name(&cx.host.id);
    let mut pause = Pause::default();
    let mut missed = false;
    loop {
        let url: Arc<str> = match cx.queue.find(&name).await {
            Ok(url) => url.into(),
            Err(fault) if fault.kind == FaultKind::NotFound => {
                if !missed {
                    tracing::info!(queue = name, "the queue does not exist yet: the controller makes it");
                    state.send_modify(|state| state.listening = false);
                }
                missed = true;
                time::sleep(LOOK).await;
                continue;
            }
            Err(fault) => {
                pause.after(&fault).await;
                continue;
            }
        };
        missed = false;
        tracing::info!(queue = name, "polling the queue");
        state.send_modify(|state| state.listening = true);
        loop {
            match cx.queue.receive(&url).await {
                Ok(messages) => {
                    pause = Pause::default();
                    for message in messages {
                        if to.send(Received { queue: Arc::clone(&url), message }).await.is_err() {
                            return;
                        }
                    }
                }
                Err(fault) if fault.kind == FaultKind::NotFound => {
                    tracing::warn!(queue = name, %fault, "the queue is gone");
                    state.send_modify(|state| state.listening = false);
                    break;
                }
                Err(fault) => pause.after(&fault).await,
            }
            if to.is_closed() {
                return;
            }
        }
    }
}

/// How long to wait after an error: longer each time.
#[derive(Default)]
struct Pause(Option<Duration>);

impl Pause {
    async fn after(&mut self, fault: &Fault) {
        let wait = self.0.map_or(Duration::from_secs(1), |last| (last * 2).min(LONGEST));
        tracing::warn!(%fault, retry_seconds = wait.as_secs(), "polling the queue failed");
        self.0 = Some(wait);
        time::sleep(wait).await;
    }
}
