//! Virtual time: when everybody waits, it is the next moment that somebody waits for.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bakehouse_protocol::{Millis, Timestamp};

#[derive(Debug)]
pub struct Time(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    count: u64,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Time {
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Inner { now, count: 0, sleepers: BTreeMap::new() }))
    }

    pub fn now(&self) -> Timestamp {
        self.0.lock().expect("the time").now
    }

    pub async fn sleep(&self, length: Millis) {
        self.sleep_until(self.now() + length).await;
    }

    pub async fn sleep_until(&self, at: Timestamp) {
        let mut key: Option<(Timestamp, u64)> = None;
        poll_fn(|cx| {
            let mut inner = self.0.lock().expect("the time");
            if at <= inner.now {
                return Poll::Ready(());
            }
            inner.count += 1;
            let key = *key.get_or_insert((at, inner.count));
            inner.sleepers.insert(key, cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return value;
            }
            if flag.0.swap(false, Ordering::Relaxed) {
                continue;
            }
            let mut inner = self.0.lock().expect("the time");
            let ((at, _), waker) = inner.sleepers.pop_first().expect("everybody waits for nothing");
            inner.now = inner.now.max(at);
            drop(inner);
            waker.wake();
            flag.0.store(false, Ordering::Relaxed);
        }
    }
}
