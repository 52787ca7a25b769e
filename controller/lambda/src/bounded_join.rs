//! Runs several futures in one task, a few at a time. A panic in one does not affect the others; those that are not
//! done when time is up are dropped.

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Either, select},
    stream::FuturesUnordered,
};

/// How many builds are handled concurrently.
pub const MAX_CONCURRENT: usize = 10;

/// A future to run.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The outcome of a task.
#[derive(Debug, PartialEq)]
pub enum TaskOutcome<T> {
    /// It completed.
    Completed(T),
    /// It panicked, with this message.
    Panicked(String),
    /// It was not done in time and was dropped.
    TimedOut,
}

/// Runs all tasks, at most `limit` at a time, until `timeout`. The outcomes have the tasks' order.
pub async fn bounded_join<T>(
    tasks: Vec<Task<'_, T>>,
    limit: usize,
    timeout: impl Future<Output = ()> + Send,
) -> Vec<TaskOutcome<T>> {
    let mut outcomes: Vec<TaskOutcome<T>> = tasks.iter().map(|_| TaskOutcome::TimedOut).collect();
    let mut waiting = tasks.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut timeout = pin!(timeout);
    loop {
        running.extend(waiting.by_ref().take(limit.max(1) - running.len()).map(|(at, task)| run(at, task)));
        match select(timeout.as_mut(), running.next()).await {
            Either::Right((Some((at, outcome)), _)) => outcomes[at] = outcome,
            Either::Right((None, _)) | Either::Left(_) => return outcomes,
        }
    }
}

async fn run<T>(at: usize, task: Task<'_, T>) -> (usize, TaskOutcome<T>) {
    match AssertUnwindSafe(task).catch_unwind().await {
        Ok(value) => (at, TaskOutcome::Completed(value)),
        Err(panic) => (at, TaskOutcome::Panicked(message(panic.as_ref()))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::{pending, poll_fn, ready},
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        task::{Context, Poll, Waker},
    };

    /// Polls once; what is not ready then hangs.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn a_panic_stays_with_its_task() {
        let tasks: Vec<Task<'_, u32>> =
            vec![Box::pin(ready(1)), Box::pin(async { panic!("what {}", "now") }), Box::pin(ready(3))];
        let done = at_once(bounded_join(tasks, 1, pending()));
        assert_eq!(
            done,
            [TaskOutcome::Completed(1), TaskOutcome::Panicked("what now".into()), TaskOutcome::Completed(3)]
        );
    }

    #[test]
    fn what_is_not_done_in_time_is_dropped() {
        let time = AtomicBool::new(false);
        let time_is_up = poll_fn(|_| if time.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending });
        let tasks: Vec<Task<'_, u32>> = vec![Box::pin(ready(1)), Box::pin(pending())];
        let mut all = pin!(bounded_join(tasks, 10, time_is_up));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(all.as_mut().poll(&mut cx).is_pending());
        time.store(true, Ordering::Relaxed);
        assert_eq!(all.as_mut().poll(&mut cx), Poll::Ready(vec![TaskOutcome::Completed(1), TaskOutcome::TimedOut]));
    }

    #[test]
    fn no_more_than_asked_are_at_work_at_once() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let tasks: Vec<Task<'_, ()>> = (0..7)
            .map(|_| {
                let mut turns = 0;
                let (now, most) = (&now, &most);
                Box::pin(poll_fn(move |cx| {
                    turns += 1;
                    if turns == 1 {
                        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    now.fetch_sub(1, Ordering::Relaxed);
                    Poll::Ready(())
                })) as Task<'_, ()>
            })
            .collect();
        let mut all = pin!(bounded_join(tasks, 3, pending()));
        let mut cx = Context::from_waker(Waker::noop());
        let turns = (0..100).find(|_| all.as_mut().poll(&mut cx).is_ready());
        assert!(turns.is_some());
        assert_eq!(most.load(Ordering::Relaxed), 3);
    }
}
