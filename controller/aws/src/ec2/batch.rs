//! Merges describe calls for single resources: the lookups of several builds in one region become one call.
//!
//! A lookup of one volume, snapshot or image joins the queue of its region and type. The task that holds the queue's
//! lock first yields to other ready tasks and waits for the configured delay, then takes all queued ids and makes one
//! call. Lookups that arrive meanwhile are queued for the next call. So there is at most one such call at a time, and a
//! lookup never returns a state from before it was requested.
//!
//! Several ids are sent as a filter (`volume-id`, …), so that a missing one does not fail the others; its caller gets
//! the error that EC2 would have returned. A single id is sent as an id, and so are snapshot ids: with a filter and no
//! owner, EC2 would search all public snapshots, which takes minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bakehouse_ec2::{ApiError, request::Filter, resource};
use bakehouse_protocol::Region;
use tokio::sync::oneshot;

/// EC2's limit of values in one filter.
const MAX_FILTER_VALUES: usize = 200;

/// How often the task yields first. Once is enough for tasks that are ready now; more let the tasks run that those
/// wake.
const YIELDS: usize = 4;

/// EC2's error code for a missing snapshot.
pub(crate) const SNAPSHOT_NOT_FOUND: &str = "InvalidSnapshot.NotFound";

/// The lookup queues of one client.
#[derive(Debug)]
pub(crate) struct LookupQueues {
    pub(crate) volumes: RegionQueues<resource::Volume>,
    pub(crate) snapshots: RegionQueues<resource::Snapshot>,
    pub(crate) images: RegionQueues<resource::Image>,
}

impl LookupQueues {
    /// Each call is delayed by this time to collect lookups: builds that wake at the same time first load their
    /// records, and are some milliseconds apart by then.
    pub(crate) fn new(delay: Duration) -> Self {
        Self {
            volumes: RegionQueues::new(delay),
            snapshots: RegionQueues::new(delay),
            images: RegionQueues::new(delay),
        }
    }
}

/// The queues of one resource type, by region.
#[derive(Debug)]
pub(crate) struct RegionQueues<T> {
    delay: Duration,
    queues: Mutex<BTreeMap<Region, Arc<LookupQueue<T>>>>,
}

/// The pending lookups of one resource type in one region.
#[derive(Debug)]
pub(crate) struct LookupQueue<T> {
    delay: Duration,
    call_lock: tokio::sync::Mutex<()>,
    pending: Mutex<Vec<Pending<T>>>,
}

type Lookup<T> = Result<T, ApiError>;

#[derive(Debug)]
struct Pending<T> {
    id: String,
    answer: oneshot::Sender<Lookup<T>>,
}

impl<T> RegionQueues<T> {
    fn new(delay: Duration) -> Self {
        Self { delay, queues: Mutex::default() }
    }

    pub(crate) fn queue(&self, region: &Region) -> Arc<LookupQueue<T>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = self.delay;
        let new =
            || Arc::new(LookupQueue { delay, call_lock: tokio::sync::Mutex::default(), pending: Mutex::default() });
        Arc::clone(queues.entry(region.clone()).or_insert_with(new))
    }
}

impl<T: Clone> LookupQueue<T> {
    fn pending(&self) -> std::sync::MutexGuard<'_, Vec<Pending<T>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, id: &str) -> oneshot::Receiver<Lookup<T>> {
        let (answer, receiver) = oneshot::channel();
        self.pending().push(Pending { id: id.to_owned(), answer });
        receiver
    }

    /// Looks up one resource. `describe` makes the call for several ids; `id_of` returns a resource's id; `not_found`
    /// returns EC2's error for a missing one.
    pub(crate) async fn get<F: Future<Output = Result<Vec<T>, ApiError>>>(
        &self,
        id: &str,
        describe: impl Fn(Vec<String>) -> F,
        id_of: impl Fn(&T) -> &str,
        not_found: impl Fn(&str) -> ApiError,
    ) -> Lookup<T> {
        let mut answer = self.join(id);
        loop {
            tokio::select! {
                biased;
                result = &mut answer => match result {
                    Ok(result) => return result,
                    // The task that made the call was dropped before it completed.
                    Err(_) => answer = self.join(id),
                },
                _guard = self.call_lock.lock() => self.run(&describe, &id_of, &not_found).await,
            }
        }
    }

    async fn run<F: Future<Output = Result<Vec<T>, ApiError>>>(
        &self,
        describe: &impl Fn(Vec<String>) -> F,
        id_of: &impl Fn(&T) -> &str,
        not_found: &impl Fn(&str) -> ApiError,
    ) {
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let batch = self.take_batch();
        let ids: BTreeSet<String> = batch.iter().map(|pending| pending.id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let found = describe(ids.into_iter().collect()).await;
        for Pending { id, answer } in batch {
            let own = match &found {
                Ok(resources) => {
                    resources.iter().find(|resource| id_of(resource) == id).cloned().ok_or_else(|| not_found(&id))
                }
                Err(error) => Err(error.clone()),
            };
            // The receiver may be dropped: then nobody waits for the result.
            let _ = answer.send(own);
        }
    }

    /// Takes the oldest pending lookups, as many as fit into one call.
    fn take_batch(&self) -> Vec<Pending<T>> {
        let mut pending = self.pending();
        pending.retain(|pending| !pending.answer.is_closed());
        let mut ids = BTreeSet::new();
        let full = pending.iter().position(|it| {
            ids.insert(it.id.clone());
            ids.len() > MAX_FILTER_VALUES
        });
        let fit = full.unwrap_or(pending.len());
        pending.drain(..fit).collect()
    }
}

/// Returns the ids and filters of a call for these ids: the id if there is one, a filter if there are several.
pub(crate) fn ids_or_filter<I: TryFrom<String>>(filter: &str, mut ids: Vec<String>) -> (Vec<I>, Vec<Filter>) {
    if ids.len() == 1
        && let Some(Ok(id)) = ids.pop().map(I::try_from)
    {
        return (vec![id], vec![]);
    }
    (vec![], vec![Filter { name: filter.to_owned(), values: ids }])
}
