//! The run of one job, on one page.
//!
//! Each phase takes the value of the phase before and gives the next one, so that "provision before mount" does not
//! compile. A phase that fails undoes itself and everything before it, newest first, and says in its [`EarlyEnd`] whether
//! the volume is free. Should one be dropped on the way (a panic), its guards undo it all the same.

use bakehouse_protocol::{Outcome, Proof};

use crate::{context::Context, error::EarlyEnd, find::find};

/// Runs the job to its end, whatever that is.
pub(crate) fn run(cx: &Context<'_>) -> Outcome {
    match run_phases(cx) {
        Ok(proof) => Outcome::Done(proof),
        Err(early) => early.into(),
    }
}

fn run_phases(cx: &Context<'_>) -> Result<Proof, EarlyEnd> {
    find(cx)?.mount()?.enter()?.provision()?.leave()?.unmount()
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
pub(crate) mod tests;
