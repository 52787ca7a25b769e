//! Tries again to upload and start a script, as Packer's `start_retry_timeout` says.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use bakehouse_protocol::chain;

use crate::{attempt::Attempt, context::Context, error::JobError};

/// How long it waits between tries: as long as Packer.
const INTERVAL: Duration = Duration::from_secs(2);

/// Until when it is tried again, and after which errors.
pub(crate) struct StartRetry {
    end: Option<Instant>,
    after_any_error: bool,
}

impl StartRetry {
    /// Begins the first try. With `after_any_error` it is tried again after every error; otherwise only after those
    /// that may pass by themselves, so that a missing interpreter is reported at once.
    pub(crate) fn new(timeout: Duration, after_any_error: bool) -> Self {
        Self { end: Instant::now().checked_add(timeout), after_any_error }
    }

    /// Calls a function until it succeeds or the time is over. A program that ran and failed must not be an error of
    /// the function.
    pub(crate) fn run<T>(
        &self,
        cx: &Context<'_>,
        attempt: &Attempt,
        mut start: impl FnMut() -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let mut noted = false;
        loop {
            let error = match start() {
                Err(error @ JobError::Io { .. }) if self.after_any_error || may_pass(&error) => error,
                other => return other,
            };
            let rest = self.end.map_or(INTERVAL, |end| end.saturating_duration_since(Instant::now()));
            if rest.is_zero() {
                return Err(error);
            }
            if !noted {
                cx.note(format!(
                    "{}; trying again for {:.0} s at most",
                    cx.mask.apply(&chain(&error)),
                    rest.as_secs_f64()
                ));
                noted = true;
            }
            attempt.sleep(cx, rest.min(INTERVAL))?;
        }
    }
}

fn may_pass(error: &JobError) -> bool {
    use ErrorKind::{ExecutableFileBusy, Interrupted, OutOfMemory, ResourceBusy, TimedOut, WouldBlock};
    let kinds = [ExecutableFileBusy, Interrupted, OutOfMemory, ResourceBusy, TimedOut, WouldBlock];
    matches!(error, JobError::Io { source, .. } if kinds.contains(&source.kind()))
}
