//! Runs one job, from its message until its end is in the inbox.

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
    journal::{JobIds, JournalError},
    outbox::Outbox,
    ports::{JobEvent, Running},
    queue_poller::VISIBILITY_SECONDS,
};

/// A request to stop a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// No request: the job goes on.
    None,
    /// The controller stops it.
    Stop,
    /// A later attempt of the same build has arrived.
    NewerAttempt,
    /// The host shuts down.
    Shutdown,
}

/// The receipt of a job's message, with which it can be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The queue's URL.
    pub queue: Arc<str>,
    /// SQS's receipt handle.
    pub handle: String,
}

/// A receipt that is replaced when the message is delivered again.
pub type SharedReceipt = Arc<Mutex<Receipt>>;

/// An event of a job for the main loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has ended; its end is not reported yet.
    Ended(JobIds),
    /// Its end is in the inbox.
    Reported(JobIds),
}

/// How long the log may take to be written after the end.
const LOG_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long a running job is logged: SQS hides a message for at most twelve hours. The controller's deadlines end
/// builds long before.
const LONG_RUNNING: Duration = Duration::from_secs(11 * 3600);

/// Runs a job and reports how it ended.
pub async fn run_job(
    cx: Arc<Context>,
    job: Job,
    receipt: SharedReceipt,
    stop: watch::Receiver<StopRequest>,
    events: mpsc::UnboundedSender<Event>,
) {
    let ids = JobIds::of(&job);
    let outbox = Outbox::open(Arc::clone(&cx), ids.clone());
    let keep_hidden_task =
        AbortOnDrop(task::spawn(keep_hidden(Arc::clone(&cx), Arc::clone(&receipt), ids.clone())).abort_handle());
    let bundle = cx.settings.bundles().join(format!("{}-{}", ids.build, ids.attempt));
    let outcome = run_to_outcome(&cx, job, &bundle, stop, &outbox).await;
    remove_bundle(bundle).await;
    finish(&cx, &ids, outcome, outbox, Some(&receipt), &events).await;
    drop(keep_hidden_task);
}

/// Saves and reports how a job ended, also one of an earlier run of the daemon, and deletes its message.
pub async fn finish(
    cx: &Arc<Context>,
    ids: &JobIds,
    outcome: Outcome,
    outbox: Outbox,
    receipt: Option<&SharedReceipt>,
    events: &mpsc::UnboundedSender<Event>,
) {
    save_end(cx, ids, &outcome, false).await;
    let _ = events.send(Event::Ended(ids.clone()));
    let writer = outbox.end(outcome.clone()).await;
    if let Some(receipt) = receipt {
        let Receipt { queue, handle } = receipt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(fault) = cx.queue.delete(&queue, &handle).await {
            // It is delivered again, and deleted then.
            tracing::warn!(build = %ids.build, attempt = ids.attempt, %fault, "can't delete the job's message");
        }
    }
    save_end(cx, ids, &outcome, true).await;
    let _ = events.send(Event::Reported(ids.clone()));
    // Lines that are not written by then are lost.
    let _ = time::timeout(LOG_FLUSH_TIMEOUT, writer).await;
}

async fn save_end(cx: &Arc<Context>, ids: &JobIds, outcome: &Outcome, reported: bool) {
    let (ended, outcome) = (ids.clone(), outcome.clone());
    let written = write_journal(cx, move |cx| cx.journal.end(&ended, &outcome, reported, cx.clock.now())).await;
    if let Err(error) = written {
        // If the daemon is killed now, its next run reports the job as lost, or reports its end a second time.
        tracing::error!(build = %ids.build, attempt = ids.attempt, error, "can't write the journal");
    }
}

async fn write_journal(
    cx: &Arc<Context>,
    write: impl FnOnce(&Context) -> Result<(), JournalError> + Send + 'static,
) -> Result<(), String> {
    let cx = Arc::clone(cx);
    match task::spawn_blocking(move || write(&cx)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn run_to_outcome(
    cx: &Arc<Context>,
    mut job: Job,
    bundle: &Path,
    mut stop: watch::Receiver<StopRequest>,
    outbox: &Outbox,
) -> Outcome {
    let ids = JobIds::of(&job);
    let at = cx.clock.now();
    let journal_ids = ids.clone();
    if let Err(error) = write_journal(cx, move |cx| cx.journal.begin(&journal_ids, at)).await {
        return Outcome::Lost { why: error, proof: Some(untouched()) };
    }
    if let Some(refusal) = refusal(&job, &cx.settings) {
        return refusal;
    }
    if let Some(reference) = job.bundle.clone().filter(|_| !sources(&job).is_empty()) {
        tokio::select! {
            unpacked = fetch(cx, &reference, bundle) => {
                if let Err(outcome) = unpacked {
                    return *outcome;
                }
            }
            request = wait_for_stop(&mut stop) => return stopped(request, Outcome::Cancelled { proof: Some(untouched()) }),
        }
        job.files = bundle.display().to_string();
    }
    let mask = Mask::new(&job.sensitive);
    match cx.jobs.start(&job).await {
        Ok(running) => follow(cx, &ids, running, stop, outbox, &mask).await,
        Err(error) => Outcome::Lost { why: error, proof: Some(untouched()) },
    }
}

async fn follow(
    cx: &Arc<Context>,
    ids: &JobIds,
    mut running: Running,
    mut stop: watch::Receiver<StopRequest>,
    outbox: &Outbox,
    mask: &Mask,
) -> Outcome {
    let mut is_stopped = false;
    loop {
        tokio::select! {
            event = running.events.recv() => match event {
                Some(JobEvent::Report(mut report)) => {
                    // The one place where reports are masked, before they go to the log, the inbox and the journal.
                    mask.hide(&mut report);
                    match report.body {
                        ReportBody::Ended(outcome) => return stopped(*stop.borrow(), outcome),
                        _ => outbox.send(report),
                    }
                }
                Some(JobEvent::Died(how)) => return died(cx, ids, &how).await,
                None => return died(cx, ids, "its reports ended").await,
            },
            _ = wait_for_stop(&mut stop), if !is_stopped => {
                (running.stop)();
                is_stopped = true;
            }
        }
    }
}

/// Waits for a request to stop.
async fn wait_for_stop(stop: &mut watch::Receiver<StopRequest>) -> StopRequest {
    match stop.wait_for(|request| *request != StopRequest::None).await {
        Ok(request) => *request,
        // The sender is dropped when the daemon ends.
        Err(_) => StopRequest::Shutdown,
    }
}

/// Returns the outcome of a job that may have been stopped. If the controller did not stop it, it is lost and can be
/// repeated.
fn stopped(request: StopRequest, outcome: Outcome) -> Outcome {
    let Outcome::Cancelled { proof } = outcome else { return outcome };
    let why = match request {
        StopRequest::Stop => return Outcome::Cancelled { proof },
        StopRequest::NewerAttempt => "a later attempt has arrived",
        StopRequest::Shutdown => "the host is shutting down",
        StopRequest::None => "it was stopped on the host",
    };
    Outcome::Lost { why: why.to_owned(), proof }
}

/// Returns the outcome of a job whose process ended without a final report.
async fn died(cx: &Context, ids: &JobIds, how: &str) -> Outcome {
    lost(cx, ids, format!("the agent's process ended without a final report: {how}")).await
}

/// Returns the outcome of a job that was cut off, with a proof if its volume is free.
pub async fn lost(cx: &Context, ids: &JobIds, why: String) -> Outcome {
    let proof = match cx.jobs.check_volume(&ids.build, &ids.volume).await {
        VolumeCheck::Free(proof) => Some(proof),
        VolumeCheck::InUse(by) => {
            tracing::error!(build = %ids.build, attempt = ids.attempt, volume = %ids.volume, %by, "volume still in use");
            None
        }
    };
    Outcome::Lost { why, proof }
}

/// Fetches and unpacks a bundle. If that fails, returns the outcome of the job.
async fn fetch(cx: &Arc<Context>, bundle: &BundleRef, dir: &Path) -> Result<(), Box<Outcome>> {
    let limits = Limits::default();
    let failure = |why: String| Box::new(failed(why, None));
    let lost = |why: String| Box::new(Outcome::Lost { why, proof: Some(untouched()) });
    if bundle.size > limits.packed {
        let (key, size, limit) = (&bundle.key, bundle.size, limits.packed);
        return Err(failure(format!("the bundle {key} has {size} bytes, more than the limit of {limit}")));
    }
    let bytes = cx.bundles.fetch(bundle).await.map_err(|fault| match fault.kind {
        FaultKind::NotFound | FaultKind::Permanent => failure(fault.message),
        _ => lost(fault.message),
    })?;
    let (bundle, dir) = (bundle.clone(), dir.to_owned());
    let unpacked = task::spawn_blocking(move || {
        bakehouse_bundle::verify(&bytes, &bundle).map_err(|error| failure(error.to_string()))?;
        // It may be left from an earlier run of the daemon.
        let _ = bakehouse_bundle::remove(&dir);
        match bakehouse_bundle::unpack(&*bytes, &dir, &limits) {
            Ok(_) => Ok(()),
            Err(error) if error.kind.is_rejection() => Err(failure(format!("{}: {error}", bundle.key))),
            Err(error) => Err(lost(format!("{}: {error}", bundle.key))),
        }
    });
    unpacked.await.unwrap_or_else(|error| Err(lost(error.to_string())))
}

async fn remove_bundle(bundle: PathBuf) {
    let removed = task::spawn_blocking(move || match bakehouse_bundle::remove(&bundle) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %bundle.display(), %error, "can't remove an unpacked bundle");
        }
        _ => {}
    });
    let _ = removed.await;
}

/// Keeps a job's message hidden while the job runs.
async fn keep_hidden(cx: Arc<Context>, receipt: SharedReceipt, ids: JobIds) {
    let since = Instant::now();
    let mut is_logged = false;
    loop {
        time::sleep(Duration::from_secs(u64::from(VISIBILITY_SECONDS) / 2)).await;
        if !is_logged && since.elapsed() >= LONG_RUNNING {
            is_logged = true;
            tracing::warn!(build = %ids.build, attempt = ids.attempt, hours = LONG_RUNNING.as_secs() / 3600, "job has been running for a long time");
        }
        let Receipt { queue, handle } = receipt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(fault) = cx.queue.change_visibility(&queue, &handle, VISIBILITY_SECONDS).await {
            // Then it is delivered again, with a new receipt.
            tracing::warn!(build = %ids.build, attempt = ids.attempt, %fault, "can't extend the visibility time-out of the job's message");
        }
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
