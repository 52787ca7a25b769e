//! Looks at single things, merged: what several builds of one invocation want to see of one region is one call.
//!
//! A look at one volume, snapshot or image waits for its lane's turn (a lane is a region and a kind of thing). Whoever has
//! the turn first lets other tasks that are ready run, waits a moment if it was told to, then takes
//! what has gathered and asks for all of it. What comes while a call is on its way gathers for the next one. So there is
//! never more than one such call at a time, and a look never gives what was seen before it was asked for.
//!
//! Several are asked for by filter (`volume-id`, …), so that one that is missing does not fail the others; its asker is
//! told what EC2 would have said. One alone is asked for by id, and so are snapshots: a filter without an owner makes EC2
//! go through everybody's public snapshots, which takes minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bakehouse_ec2::{ApiError, request::Filter, resource};
use bakehouse_protocol::Region;
use tokio::sync::oneshot;

/// EC2 takes so many values in one filter.
const VALUES: usize = 200;

/// How often those that are ready are let go first. Once is enough for tasks that are ready now; what they wake in turn,
/// a channel or a lock between them, gets its turn, too.
const YIELDS: usize = 4;

/// What EC2 says of a snapshot that is not there.
pub(crate) const NO_SNAPSHOT: &str = "InvalidSnapshot.NotFound";

/// The merged looks of one client: at volumes, snapshots and images.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(crate) volumes: Lanes<resource::Volume>,
    pub(crate) snapshots: Lanes<resource::Snapshot>,
    pub(crate) images: Lanes<resource::Image>,
}

impl Looks {
    /// Every look waits so long for others. Builds that were woken at the same moment have their records to read before
    /// they look, and are some milliseconds apart by then.
    pub(crate) fn new(moment: Duration) -> Self {
        Self { volumes: Lanes::new(moment), snapshots: Lanes::new(moment), images: Lanes::new(moment) }
    }
}

/// A region's lane for each region.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    moment: Duration,
    lanes: Mutex<BTreeMap<Region, Arc<Lane<T>>>>,
}

/// Who waits for one kind of thing in one region.
#[derive(Debug)]
pub(crate) struct Lane<T> {
    moment: Duration,
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting<T>>>,
}

type Seen<T> = Result<T, ApiError>;

#[derive(Debug)]
struct Waiting<T> {
    id: String,
    answer: oneshot::Sender<Seen<T>>,
}

impl<T> Lanes<T> {
    fn new(moment: Duration) -> Self {
        Self { moment, lanes: Mutex::default() }
    }

    pub(crate) fn lane(&self, region: &Region) -> Arc<Lane<T>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = self.moment;
        let new = || Arc::new(Lane { moment, turn: tokio::sync::Mutex::default(), waiting: Mutex::default() });
        Arc::clone(lanes.entry(region.clone()).or_insert_with(new))
    }
}

impl<T: Clone> Lane<T> {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, id: &str) -> oneshot::Receiver<Seen<T>> {
        let (answer, receiver) = oneshot::channel();
        self.waiting().push(Waiting { id: id.to_owned(), answer });
        receiver
    }

    /// Sees one thing. `look` asks for these ids, all at once; `name` is a thing's id; `missing` is what EC2 says of one
    /// that is not there.
    pub(crate) async fn see<F: Future<Output = Result<Vec<T>, ApiError>>>(
        &self,
        id: &str,
        look: impl Fn(Vec<String>) -> F,
        name: impl Fn(&T) -> &str,
        missing: impl Fn(&str) -> ApiError,
    ) -> Seen<T> {
        let mut answer = self.join(id);
        loop {
            tokio::select! {
                biased;
                seen = &mut answer => match seen {
                    Ok(seen) => return seen,
                    // Whoever asked for us was dropped in the middle of it.
                    Err(_) => answer = self.join(id),
                },
                _turn = self.turn.lock() => self.ask(&look, &name, &missing).await,
            }
        }
    }

    async fn ask<F: Future<Output = Result<Vec<T>, ApiError>>>(
        &self,
        look: &impl Fn(Vec<String>) -> F,
        name: &impl Fn(&T) -> &str,
        missing: &impl Fn(&str) -> ApiError,
    ) {
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        if !self.moment.is_zero() {
            tokio::time::sleep(self.moment).await;
        }
        let batch = self.take();
        let ids: BTreeSet<String> = batch.iter().map(|waiting| waiting.id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let seen = look(ids.into_iter().collect()).await;
        for Waiting { id, answer } in batch {
            let mine = match &seen {
                Ok(things) => things.iter().find(|thing| name(thing) == id).cloned().ok_or_else(|| missing(&id)),
                Err(error) => Err(error.clone()),
            };
            // Whoever does not wait any more needs no answer.
            let _ = answer.send(mine);
        }
    }

    /// The oldest that still wait, as many as fit into one call.
    fn take(&self) -> Vec<Waiting<T>> {
        let mut waiting = self.waiting();
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let mut ids = BTreeSet::new();
        let full = waiting.iter().position(|it| {
            ids.insert(it.id.clone());
            ids.len() > VALUES
        });
        let fit = full.unwrap_or(waiting.len());
        waiting.drain(..fit).collect()
    }
}

/// What a call for these ids says: ids for one, a filter for several.
pub(crate) fn by<I: TryFrom<String>>(name: &str, mut ids: Vec<String>) -> (Vec<I>, Vec<Filter>) {
    if ids.len() == 1
        && let Some(Ok(id)) = ids.pop().map(I::try_from)
    {
        return (vec![id], vec![]);
    }
    (vec![], vec![Filter { name: name.to_owned(), values: ids }])
}
