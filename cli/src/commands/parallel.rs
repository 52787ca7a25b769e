//! Runs the builds of one command, several at once.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
};

use crate::{args::Build, settings::SLOTS};

/// How many builds run at once at least if the user does not say, however few processors there are: much of a build is
/// waiting.
const DEFAULT_LEAST: usize = 4;

/// Returns how many builds run at once on this machine.
pub(super) fn at_once(args: &Build) -> usize {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Somebody who looks at each step looks at one build.
    if args.debug { 1 } else { limit(args.parallel_builds, processors, SLOTS) }
}

/// Returns how many builds may run at once: as many as the user says (0: all), at most as this machine has slots for
/// and, unless the user says, at most one for each processor.
fn limit(given: usize, processors: usize, slots: usize) -> usize {
    match given {
        0 => processors.max(DEFAULT_LEAST).min(slots),
        given => given.min(slots),
    }
}

/// Runs these items, at most `limit` at once, each in a thread. None is begun any more once `is_stopped` returns true.
/// Returns the results of those that were begun, in the order of the items.
pub(super) fn run_all<T: Send, R: Send>(
    items: Vec<T>,
    limit: usize,
    is_stopped: impl Fn() -> bool + Sync,
    run: impl Fn(usize, T) -> R + Sync,
) -> Vec<R> {
    let threads = limit.clamp(1, items.len().max(1));
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let queue: Mutex<VecDeque<(usize, T)>> = Mutex::new(items.into_iter().enumerate().collect());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while !is_stopped()
            && let Some((index, item)) = next()
        {
            let result = run(index, item);
            results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    #[test]
    fn the_limit_is_the_users_or_the_machines() {
        assert_eq!([limit(0, 2, 16), limit(0, 8, 16), limit(0, 64, 16)], [4, 8, 16]);
        assert_eq!([limit(1, 8, 16), limit(9, 2, 16), limit(99, 2, 16)], [1, 9, 16]);
    }

    #[test]
    fn items_run_at_once_and_their_results_keep_the_order() {
        // It would never be passed if they ran one after the other.
        let barrier = Barrier::new(3);
        let results = run_all(
            vec!["a", "b", "c"],
            3,
            || false,
            |index, item| {
                barrier.wait();
                format!("{item}{index}")
            },
        );
        assert_eq!(results, ["a0", "b1", "c2"]);
        assert_eq!(run_all(Vec::<u8>::new(), 3, || false, |_, item| item), Vec::<u8>::new());
    }

    #[test]
    fn no_more_than_the_limit_run_at_once() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        run_all(
            vec![(); 20],
            2,
            || false,
            |_, ()| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            },
        );
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn nothing_is_begun_after_a_stop() {
        let stopped = AtomicBool::new(false);
        let results = run_all(
            vec![1, 2, 3],
            1,
            || stopped.load(Ordering::SeqCst),
            |_, item| {
                stopped.store(true, Ordering::SeqCst);
                item
            },
        );
        assert_eq!(results, [1]);
    }
}
