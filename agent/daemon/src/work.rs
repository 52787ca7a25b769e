//! One job from its message to the end that the inbox has taken.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bakehouse_agent::VolumeState;
use bakehouse_bundle::Limits;
use bakehouse_protocol::{BundleRef, Job, Outcome, ReportBody, mask::Mask};
use tokio::{
    sync::{mpsc, watch},
    task::{self, AbortHandle},
    time::{self, Instant},
};

use crate::{
    journal::{Ids, JournalError},
    listen::HIDDEN,
    outbox::Outbox,
    ports::{Heard, Running, Trouble},
    refuse::{failed, refusal, sources, untouched},
    say,
    world::World,
};

/// What is wanted of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
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
    Ending(Ids),
    /// The inbox has its end.
    Told(Ids),
}

/// How long the log may take to be written out after the end.
const FLUSH: Duration = Duration::from_secs(5);
/// A message can be hidden for twelve hours in all. Builds are over long before (the controller's deadlines).
const LONG: Duration = Duration::from_secs(11 * 3600);

/// Does a job and says how it ended.
pub async fn work(
    world: Arc<World>,
    job: Job,
    receipt: SharedReceipt,
    wish: watch::Receiver<Wish>,
    events: mpsc::UnboundedSender<Event>,
) {
    let ids = Ids::of(&job);
    let outbox = Outbox::open(Arc::clone(&world), ids.clone());
    let hiding =
        Aborting(task::spawn(keep_hidden(Arc::clone(&world), Arc::clone(&receipt), ids.clone())).abort_handle());
    let bundle = world.settings.bundles().join(format!("{}-{}", ids.build, ids.attempt));
    let outcome = story(&world, job, &bundle, wish, &outbox).await;
    clear(bundle).await;
    finish(&world, &ids, outcome, outbox, Some(&receipt), &events).await;
    drop(hiding);
}

/// Says how a job ended, whoever lived when it did, and remembers it for as long as its message may come again.
pub async fn finish(
    world: &Arc<World>,
    ids: &Ids,
    outcome: Outcome,
    outbox: Outbox,
    receipt: Option<&SharedReceipt>,
    events: &mpsc::UnboundedSender<Event>,
) {
    remember(world, ids, &outcome, false).await;
    let _ = events.send(Event::Ending(ids.clone()));
    let writer = outbox.end(outcome.clone()).await;
    if let Some(receipt) = receipt {
        let Receipt { queue, handle } = receipt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(trouble) = world.queue.delete(&queue, &handle).await {
            // It comes again, and is deleted then.
            say::warning(format!("the message of {}: {trouble}", ids.build));
        }
    }
    remember(world, ids, &outcome, true).await;
    let _ = events.send(Event::Told(ids.clone()));
    // Whatever has no place in the log by then is lost.
    let _ = time::timeout(FLUSH, writer).await;
}

async fn remember(world: &Arc<World>, ids: &Ids, outcome: &Outcome, told: bool) {
    let (ids, outcome) = (ids.clone(), outcome.clone());
    let written = journal(world, move |world| world.journal.end(&ids, &outcome, told, world.clock.now())).await;
    if let Err(error) = written {
        // Should the daemon be killed now, its next life says that the job is lost, or says its end a second time.
        say::error(error);
    }
}

async fn journal(
    world: &Arc<World>,
    write: impl FnOnce(&World) -> Result<(), JournalError> + Send + 'static,
) -> Result<(), String> {
    let world = Arc::clone(world);
    match task::spawn_blocking(move || write(&world)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn story(
    world: &Arc<World>,
    mut job: Job,
    bundle: &Path,
    mut wish: watch::Receiver<Wish>,
    outbox: &Outbox,
) -> Outcome {
    let ids = Ids::of(&job);
    let at = world.clock.now();
    let begun = ids.clone();
    if let Err(error) = journal(world, move |world| world.journal.begin(&begun, at)).await {
        return Outcome::Lost { why: error, proof: Some(untouched()) };
    }
    if let Some(refusal) = refusal(&job, &world.settings) {
        return refusal;
    }
    if let Some(reference) = job.bundle.clone().filter(|_| sources(&job).next().is_some()) {
        tokio::select! {
            unpacked = fetch(world, &reference, bundle) => {
                if let Err(outcome) = unpacked {
                    return *outcome;
                }
            }
            wished = wished(&mut wish) => return stopped(wished, Outcome::Cancelled { proof: Some(untouched()) }),
        }
        job.files = bundle.display().to_string();
    }
    let mask = Mask::new(&job.sensitive);
    match world.jobs.start(&job).await {
        Ok(running) => follow(world, &ids, running, wish, outbox, &mask).await,
        Err(error) => Outcome::Lost { why: error, proof: Some(untouched()) },
    }
}

async fn follow(
    world: &Arc<World>,
    ids: &Ids,
    mut running: Running,
    mut wish: watch::Receiver<Wish>,
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
                        ReportBody::Ended(outcome) => return stopped(*wish.borrow(), outcome),
                        _ => outbox.say(report),
                    }
                }
                Some(Heard::Died(how)) => return died(world, ids, &how).await,
                None => return died(world, ids, "its reports ended").await,
            },
            wished = wished(&mut wish), if told.is_none() => {
                (running.stop)();
                told = Some(wished);
            }
        }
    }
}

/// Waits until something else is wished than that it goes on.
async fn wished(wish: &mut watch::Receiver<Wish>) -> Wish {
    match wish.wait_for(|wish| *wish != Wish::GoOn).await {
        Ok(wished) => *wished,
        // Nobody is left to wish: the daemon ends.
        Err(_) => Wish::Shutdown,
    }
}

/// A job that was stopped, but not by the controller, is lost and can be done anew.
fn stopped(wish: Wish, outcome: Outcome) -> Outcome {
    let Outcome::Cancelled { proof } = outcome else { return outcome };
    let why = match wish {
        Wish::Stop => return Outcome::Cancelled { proof },
        Wish::Newer => "a later attempt has come",
        Wish::Shutdown => "the host is shutting down",
        Wish::GoOn => "it was stopped by somebody on the host",
    };
    Outcome::Lost { why: why.to_owned(), proof }
}

/// Its process was killed.
async fn died(world: &World, ids: &Ids, how: &str) -> Outcome {
    lost(world, ids, format!("the agent's process ended without a last word: {how}")).await
}

/// A job that was cut off, with a proof if its volume is free all the same.
pub async fn lost(world: &World, ids: &Ids, why: String) -> Outcome {
    let proof = match world.jobs.check_volume(&ids.build, &ids.volume).await {
        VolumeState::Free(proof) => Some(proof),
        VolumeState::Held(by) => {
            say::error(format!("the volume {} of {} is not free: {by}", ids.volume, ids.build));
            None
        }
    };
    Outcome::Lost { why, proof }
}

/// Fetches and unpacks a bundle; if it can't be used, what follows for the job.
async fn fetch(world: &Arc<World>, bundle: &BundleRef, dir: &Path) -> Result<(), Box<Outcome>> {
    let limits = Limits::default();
    let refused = |why: String| Box::new(failed(why, None));
    let lost = |why: String| Box::new(Outcome::Lost { why, proof: Some(untouched()) });
    if bundle.size > limits.packed {
        let (key, size, most) = (&bundle.key, bundle.size, limits.packed);
        return Err(refused(format!("the bundle {key} has {size} bytes, and {most} is the most")));
    }
    let bytes = world.bundles.fetch(bundle).await.map_err(|trouble| match trouble {
        Trouble::Failed(why) => lost(why),
        Trouble::Gone(why) | Trouble::Refused(why) => refused(why),
    })?;
    let (bundle, dir) = (bundle.clone(), dir.to_owned());
    let unpacked = task::spawn_blocking(move || {
        bakehouse_bundle::verify(&bytes, &bundle).map_err(|error| refused(error.to_string()))?;
        // One of an earlier life of the daemon.
        let _ = bakehouse_bundle::remove(&dir);
        match bakehouse_bundle::unpack(&*bytes, &dir, &limits) {
            Ok(_) => Ok(()),
            Err(error) if error.why.is_refusal() => Err(refused(format!("{}: {error}", bundle.key))),
            Err(error) => Err(lost(format!("{}: {error}", bundle.key))),
        }
    });
    unpacked.await.unwrap_or_else(|error| Err(lost(error.to_string())))
}

async fn clear(bundle: PathBuf) {
    let cleared = task::spawn_blocking(move || match bakehouse_bundle::remove(&bundle) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            say::warning(format!("removing {}: {error}", bundle.display()));
        }
        _ => {}
    });
    let _ = cleared.await;
}

/// Extends the time for which a job's message is hidden.
async fn keep_hidden(world: Arc<World>, receipt: SharedReceipt, ids: Ids) {
    let since = Instant::now();
    let mut long = false;
    loop {
        time::sleep(Duration::from_secs(u64::from(HIDDEN) / 2)).await;
        if !long && since.elapsed() >= LONG {
            long = true;
            say::warning(format!("the job of {} has been at work for {} hours", ids.build, LONG.as_secs() / 3600));
        }
        let Receipt { queue, handle } = receipt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(trouble) = world.queue.hide(&queue, &handle, HIDDEN).await {
            // Then it comes again, and with it a new receipt.
            say::warning(format!("the message of {}: {trouble}", ids.build));
        }
    }
}

struct Aborting(AbortHandle);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
