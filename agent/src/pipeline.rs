//! The run of one job, on one page.
//!
//! Each phase consumes the value of the phase before and returns the next one, so that "provision before mount" does
//! not compile. A phase that fails undoes itself and everything before it, newest first, and returns in an [`Aborted`]
//! whether the volume is free. If a value is dropped on the way (by a panic), its guards undo it as well.

use bakehouse_protocol::{Outcome, Proof};

use crate::{context::Context, error::Aborted, find::find};

/// Runs the job and returns how it ended.
pub(crate) fn run(cx: &Context<'_>) -> Outcome {
    match run_phases(cx) {
        Ok(proof) => Outcome::Done(proof),
        Err(aborted) => aborted.into(),
    }
}

fn run_phases(cx: &Context<'_>) -> Result<Proof, Aborted> {
    find(cx)?.mount()?.enter()?.provision()?.leave()?.unmount()
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
pub(crate) mod tests;
