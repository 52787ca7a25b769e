//! Starts the daemon.

use std::{sync::Arc, time::Duration};

use bakehouse_protocol::FaultKind;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time,
};

use crate::{
    aws::{self, Sqs},
    clock::WallClock,
    context::Context,
    daemon::{self, Ended},
    host::Host,
    journal::Journal,
    notify::{NotifyState, notify},
    ports::Identity,
    runner::{self, Processes},
    settings::Settings,
};

/// How often the metadata service is tried before the daemon exits; systemd restarts it.
const MAX_ATTEMPTS: u32 = 10;

/// Runs the daemon.
///
/// # Errors
/// Why it can't be started, in one line.
pub async fn run(settings: Settings) -> Result<Ended, String> {
    notify(NotifyState::Status("reading the instance metadata"));
    let mut signals = signals()?;
    let identity = tokio::select! {
        identity = identify() => identity?,
        _ = signals.recv() => return Ok(Ended::Drained),
    };
    let host = Host::find(identity, &settings)?;
    tracing::info!(host = %host.id, zone = %host.identity.zone, slots = host.slots, stack = settings.stack.name, "agent started");
    let journal = Journal::open(&settings.journal()).map_err(|error| error.to_string())?;
    let bundles = settings.bundles();
    // They are left from jobs that were cut off.
    match bakehouse_bundle::remove(&bundles) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("can't remove {}: {error}", bundles.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(&bundles).map_err(|error| format!("can't create {}: {error}", bundles.display()))?;
    let config = aws::config(&settings.stack.region).await;
    let sqs = Arc::new(Sqs::new(&config, &settings.stack.inbox_url));
    let jobs = Processes::new(settings.for_jobs(host.id.clone(), runner::cgroup()));
    let cx = Context {
        queue: sqs.clone(),
        inbox: sqs,
        bundles: Arc::new(bakehouse_aws::Bundles::new(&config, &settings.stack.bucket)),
        logs: Arc::new(bakehouse_aws::Logs::new(&config, &settings.stack.builds_log_group)),
        clock: Arc::new(WallClock),
        jobs: Arc::new(jobs),
        settings,
        host,
        journal,
    };
    daemon::run(Arc::new(cx), signals).await
}

async fn identify() -> Result<Identity, String> {
    let mut wait = Duration::from_secs(1);
    for left in (0..MAX_ATTEMPTS).rev() {
        match aws::identity().await {
            Ok(identity) => return Ok(identity),
            Err(fault) if fault.kind == FaultKind::Permanent => return Err(fault.to_string()),
            Err(fault) if left == 0 => return Err(fault.to_string()),
            Err(fault) => {
                tracing::warn!(%fault, "can't read the instance metadata, retrying");
                time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(10));
            }
        }
    }
    Err("no answer".to_owned())
}

/// Returns a channel that receives a message at each SIGTERM or SIGINT.
fn signals() -> Result<mpsc::Receiver<()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("can't listen for signals: {error}"));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (to, signals) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if to.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(signals)
}
