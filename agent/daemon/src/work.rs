//! One job from its message to the end that the inbox has taken.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bakehouse_agent::VolumeCheck;
use bakehouse_bundle::Limits;
use bakehouse_protocol::{BundleRef, FaultKind, Job, Outcome, ReportBody, mask::Mask};
use tokio::{
    sync::{mpsc, watch},
    task::{self, AbortHandle},
    time::{self, Instant},
};

use crate::{
    admission::{failed, refusal, sources, untouched},
    context::Context,
    journal::{Ids, JournalError},
    outbox::Outbox,
    ports::{Heard, Running},
    queue_poller::HIDDEN,
};

/// What is wanted of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// That it is done.
    GoOn,
    /// The controller wants it to stop.
    Stop,
    /// A later attempt of the same build has come.
    Newer,
    /// The host goes down.
    Shutdown,
}

/// Where a job's message can be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The queue's URL.
    pub queue: Arc<str>,
    /// The receipt.
    pub handle: String,
}

/// A receipt that is replaced when its message comes again.
pub type SharedReceipt = Arc<Mutex<Receipt>>;

/// What the main loop must know of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has ended; its end is to be said.
    UndoReason(Ids),
    /// The inbox has its end.
    Told(Ids),
}

/// How long the log may take to be written out after the end.
const FLUSH: Duration = Duration::from_secs(5);
/// A message can be hidden for twelve hours in all. Builds are over long before (the controller's deadlines).
const LONG: Duration = Duration::from_secs(11 * 3600);

/// Does a job and says how it ended.
pub async fn work(
    cx: Arc<Context>,
    job: Job,
    receipt: SharedReceipt,
    reason: watch::Receiver<StopReason>,
    events: mpsc::UnboundedSender<Event>,
) {
    let ids = Ids::of(&job);
    let outbox = Outbox::open(Arc::clone(&cx), ids.clone());
    let hiding = Aborting(task::spawn(keep_hidden(Arc::clone(&cx), Arc::clone(&receipt), ids.clone())).abort_handle());
    let bundle = cx.settings.bundles().join(format!("{}-{}", ids.build, ids.attempt));
    let outcome = story(&cx, job, &bundle, reason, &outbox).await;
    clear(bundle).await;
    finish(&cx, &ids, outcome, outbox, Some(&receipt), &events).await;
    drop(hiding);
}

/// Says how a job ended, whoever lived when it did, and remembers it for as long as its message may come again.
pub async fn finish(
    cx: &Arc<Context>,
    ids: &Ids,
    outcome: Outcome,
    outbox: Outbox,
    receipt: Option<&SharedReceipt>,
    events: &mpsc::UnboundedSender<Event>,
) {
    remember(cx, ids, &outcome, false).await;
    let _ = events.send(Event::UndoReason(ids.clone()));
    let writer = outbox.end(outcome.clone()).await;
    if let Some(receipt) = receipt {
        let Receipt { queue, handle } = receipt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(fault) = cx.queue.delete(&queue, &handle).await {
            // It comes again, and is deleted then.
            tracing::warn!(build = %ids.build, attempt = ids.attempt, %fault, "deleting the job's message failed");
        }
    }
    remember(cx, ids, &outcome, true).await;
    let _ = events.send(Event::Told(ids.clone()));
    // Whatever has no place in the log by then is lost.
    let _ = time::timeout(FLUSH, writer).await;
}

async fn remember(cx: &Arc<Context>, ids: &Ids, outcome: &Outcome, told: bool) {
    let (ended, outcome) = (ids.clone(), outcome.clone());
    let written = journal(cx, move |cx| cx.journal.end(&ended, &outcome, told, cx.clock.now())).await;
    if let Err(error) = written {
        // Should the daemon be killed now, its next life says that the job is lost, or says its end a second time.
        tracing::error!(build = %ids.build, attempt = ids.attempt, error, "writing the journal failed");
    }
}

async fn journal(
    cx: &Arc<Context>,
    write: impl FnOnce(&Context) -> Result<(), JournalError> + Send + 'static,
) -> Result<(), String> {
    let cx = Arc::clone(cx);
    match task::spawn_blocking(move || write(&cx)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn story(
    cx: &Arc<Context>,
    mut job: Job,
    bundle: &Path,
    mut reason: watch::Receiver<StopReason>,
    outbox: &Outbox,
) -> Outcome {
    let ids = Ids::of(&job);
    let at = cx.clock.now();
    let begun = ids.clone();
    if let Err(error) = journal(cx, move |cx| cx.journal.begin(&begun, at)).await {
        return Outcome::Lost { why: error, proof: Some(untouched()) };
    }
    if let Some(refusal) = refusal(&job, &cx.settings) {
        return refusal;
    }
    if let Some(reference) = job.bundle.clone().filter(|_| sources(&job).next().is_some()) {
        tokio::select! {
            unpacked = fetch(cx, &reference, bundle) => {
                if let Err(outcome) = unpacked {
                    return *outcome;
                }
            }
            wished = wished(&mut reason) => return stopped(wished, Outcome::Cancelled { proof: Some(untouched()) }),
        }
        job.files = bundle.display().to_string();
    }
    let mask = Mask::new(&job.sensitive);
    match cx.jobs.start(&job).await {
        Ok(running) => follow(cx, &ids, running, reason, outbox, &mask).await,
        Err(error) => Outcome::Lost { why: error, proof: Some(untouched()) },
    }
}

async fn follow(
    cx: &Arc<Context>,
    ids: &Ids,
    mut running: Running,
    mut reason: watch::Receiver<StopReason>,
    outbox: &Outbox,
    mask: &Mask,
) -> Outcome {
    let mut told = None;
    loop {
        tokio::select! {
            heard = running.heard.recv() => match heard {
                Some(Heard::Report(mut report)) => {
                    // Here, once for all: what is said goes to the log, into the inbox and into the journal.
                    mask.hide(&mut report);
                    match report.body {
                        ReportBody::Ended(outcome) => return stopped(*reason.borrow(), outcome),
                        _ => outbox.say(report),
                    }
                }
                Some(Heard::Died(how)) => return died(cx, ids, &how).await,
                None => return died(cx, ids, "its reports ended").await,
            },
            wished = wished(&mut reason), if told.is_none() => {
                (running.stop)();
                told = Some(wished);
            }
        }
    }
}

/// Waits until something else is wished than that it goes on.
async fn wished(reason: &mut watch::Receiver<StopReason>) -> StopReason {
    match reason.wait_for(|reason| *reason != StopReason::GoOn).await {
        Ok(wished) => *wished,
        // Nobody is left to wish: the daemon ends.
        Err(_) => StopReason::Shutdown,
    }
}

/// A job that was stopped, but not by the controller, is lost and can be done anew.
fn stopped(reason: StopReason, outcome: Outcome) -> Outcome {
    let Outcome::Cancelled { proof } = outcome else { return outcome };
    let why = match reason {
        StopReason::Stop => return Outcome::Cancelled { proof },
        StopReason::Newer => "a later attempt has come",
        StopReason::Shutdown => "the host is shutting down",
        StopReason::GoOn => "it was stopped by somebody on the host",
    };
    Outcome::Lost { why: why.to_owned(), proof }
}

/// Its process was killed.
async fn died(cx: &Context, ids: &Ids, how: &str) -> Outcome {
    lost(cx, ids, format!("the agent's process ended without a last word: {how}")).await
}

/// A job that was cut off, with a proof if its volume is free all the same.
pub async fn lost(cx: &Context, ids: &Ids, why: String) -> Outcome {
    let proof = match cx.jobs.check_volume(&ids.build, &ids.volume).await {
        VolumeCheck::Free(proof) => Some(proof),
        VolumeCheck::InUse(by) => {
            tracing::error!(build = %ids.build, attempt = ids.attempt, volume = %ids.volume, %by, "the volume is not free");
            None
        }
    };
    Outcome::Lost { why, proof }
}

/// Fetches and unpacks a bundle; if it can't be used, what follows for the job.
async fn fetch(cx: &Arc<Context>, bundle: &BundleRef, dir: &Path) -> Result<(), Box<Outcome>> {
    let limits = Limits::default();
    let refused = |why: String| Box::new(failed(why, None));
    let lost = |why: String| Box::new(Outcome::Lost { why, proof: Some(untouched()) });
    if bundle.size > limits.packed {
        let (key, size, most) = (&bundle.key, bundle.size, limits.packed);
        return Err(refused(format!("the bundle {key} has {size} bytes, and {most} is the most")));
    }
    let bytes = cx.bundles.fetch(bundle).await.map_err(|fault| match fault.kind {
        FaultKind::NotFound | FaultKind::Permanent => refused(fault.message),
        _ => lost(fault.message),
    })?;
    let (bundle, dir) = (bundle.clone(), dir.to_owned());
    let unpacked = task::spawn_blocking(move || {
        bakehouse_bundle::verify(&bytes, &bundle).map_err(|error| refused(error.to_string()))?;
        // One of an earlier life of the daemon.
        let _ = bakehouse_bundle::remove(&dir);
        match bakehouse_bundle::unpack(&*bytes, &dir, &limits) {
            Ok(_) => Ok(()),
            Err(error) if error.kind.is_rejection() => Err(refused(format!("{}: {error}", bundle.key))),
            Err(error) => Err(lost(format!("{}: {error}", bundle.key))),
        }
    });
    unpacked.await.unwrap_or_else(|error| Err(lost(error.to_string())))
}

async fn clear(bundle: PathBuf) {
    let cleared = task::spawn_blocking(move || match bakehouse_bundle::remove(&bundle) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %bundle.display(), %error, "removing an unpacked bundle failed");
        }
        _ => {}
    });
    let _ = cleared.await;
}

/// Extends the time for which a job's message is hidden.
async fn keep_hidden(cx: Arc<Context>, receipt: SharedReceipt, ids: Ids) {
    let since = Instant::now();
    let mut long = false;
    loop {
        time::sleep(Duration::from_secs(u64::from(HIDDEN) / 2)).await;
        if !long && since.elapsed() >= LONG {
            long = true;
            tracing::warn!(build = %ids.build, attempt = ids.attempt, hours = LONG.as_secs() / 3600, "a job has been running for long");
        }
        let Receipt { queue, handle } = receipt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(fault) = cx.queue.hide(&queue, &handle, HIDDEN).await {
            // Then it comes again, and with it a new receipt.
            tracing::warn!(build = %ids.build, attempt = ids.attempt, %fault, "extending the time for which the job's message is hidden failed");
        }
    }
}

struct Aborting(AbortHandle);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
