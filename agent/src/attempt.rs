//! One try of a step: its name and its time.

use std::time::{Duration, Instant};

use crate::{
    context::Context,
    error::{ErrorContext, JobError},
};

/// One try of a step.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Unique for each try of each step of a job, for the names of files.
    pub(crate) id: String,
    /// The same for all tries of a step.
    pub(crate) step_id: String,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
}

impl Attempt {
    /// Begins a try of a step, which may take this long.
    pub(crate) fn begin(step_id: &str, number: u32, timeout: Option<Duration>) -> Self {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { id: format!("{step_id}-{number}"), step_id: step_id.to_owned(), timeout, deadline }
    }

    /// Returns what has no time-out and belongs to no step.
    pub(crate) fn unlimited() -> Self {
        Self::begin("", 0, None)
    }

    /// Returns the time that a command of this try may take.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
    }

    /// Returns " of 1.5 s", or nothing if there is no time-out.
    pub(crate) fn timeout_text(&self) -> String {
        self.timeout.map_or_else(String::new, |timeout| format!(" of {:.1} s", timeout.as_secs_f64()))
    }

    /// Returns an error if the job was cancelled, or the time of this try is over.
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<(), JobError> {
        cx.check_cancelled()?;
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(JobError::new(format!("the step was ended because its timeout{} was over", self.timeout_text())))
            }
            _ => Ok(()),
        }
    }

    /// Waits for this long, or until the job is cancelled or the time of this try is over: then that is the error.
    pub(crate) fn sleep(&self, cx: &Context<'_>, length: Duration) -> Result<(), JobError> {
        let end = Instant::now() + length;
        loop {
            self.check(cx)?;
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            let rest = self.rest().map_or(rest, |of_try| of_try.min(rest));
            cx.host.wait(rest, &[]).context(|| "waiting".to_owned())?;
        }
    }
}
