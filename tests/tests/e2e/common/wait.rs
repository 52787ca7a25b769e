//! Waiting for the kernel.

use std::time::{Duration, Instant};

/// How long the kernel may take to let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks until it sees what is wanted, or for long enough; returns what it saw last.
pub(crate) fn eventually<T>(look: impl Fn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if wanted(&seen) || Instant::now() >= end {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
