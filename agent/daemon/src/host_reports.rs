//! Reporting the host's state to the controller.

use std::{sync::Arc, time::Duration};

use bakehouse_protocol::{BuildId, HostReport, InboxMessage};
use tokio::{sync::watch, time};

use crate::{context::Context, host::Host};

/// How often the host reports its state.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// The interval after a failed report.
const RETRY: Duration = Duration::from_secs(5);

/// The properties of the host that change while the daemon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The builds whose jobs run.
    pub running: Vec<BuildId>,
    /// It takes no more jobs.
    pub draining: bool,
    /// It polls its queue.
    pub listening: bool,
}

fn report(cx: &Context, state: &State) -> HostReport {
    let Host { id, identity, kernel, slots, attach_limit } = &cx.host;
    HostReport {
        host: id.clone(),
        instance: identity.instance.clone(),
        region: identity.region.clone(),
        zone: identity.zone.clone(),
        architecture: identity.architecture,
        kernel: kernel.clone(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        slots: *slots,
        attach_limit: *attach_limit,
        running: state.running.clone(),
        draining: state.draining,
        listening: state.listening,
        at: cx.clock.now(),
    }
}

/// Sends the last report.
pub async fn report_once(cx: &Context, state: State) {
    let message = InboxMessage::Host { host: report(cx, &state) };
    match time::timeout(RETRY, cx.inbox.send(&message)).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::warn!(%fault, "can't report that this host stops"),
        Err(_) => tracing::warn!("reporting that this host stops timed out"),
    }
}

/// Sends a report at once, at each change, and every [`INTERVAL`]. Never returns.
pub async fn report_always(cx: Arc<Context>, mut state: watch::Receiver<State>) {
    loop {
        let now = state.borrow_and_update().clone();
        let message = InboxMessage::Host { host: report(&cx, &now) };
        let wait = match cx.inbox.send(&message).await {
            Ok(()) => INTERVAL,
            Err(fault) => {
                tracing::warn!(%fault, "can't report the state of this host");
                RETRY
            }
        };
        tokio::select! {
            () = time::sleep(wait) => {}
            changed = state.changed() => if changed.is_err() { return },
        }
    }
}
