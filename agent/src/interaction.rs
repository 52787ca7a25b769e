//! Asks a person how to go on.

use bakehouse_protocol::{Answer, OnError, ReportBody, Waiting, spec::Breakpoint};

use crate::{
    attempt::Attempt,
    context::Context,
    error::{ErrorContext, JobError},
};

/// What follows a failed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// It runs again.
    Retry,
    /// The job ends; the error-cleanup-provisioner runs first.
    CleanUp,
    /// The job ends.
    End,
}

/// Reports that the job waits, and returns the answer.
fn ask(cx: &Context<'_>, attempt: &Attempt, waiting: Waiting) -> Result<Answer, JobError> {
    let operation = || "waiting for an answer".to_owned();
    cx.host.discard_answers().context(operation)?;
    (cx.report)(ReportBody::Waiting(waiting));
    let answer = cx.host.await_answer(attempt.rest()).context(operation)?;
    attempt.check(cx)?;
    // Otherwise the pipe of the answers ended: so has who could answer.
    answer.ok_or(JobError::Cancelled)
}

/// Waits at a `breakpoint` provisioner.
pub(crate) fn breakpoint(cx: &Context<'_>, attempt: &Attempt, step: &Breakpoint) -> Result<(), JobError> {
    if !cx.settings.interaction.answers {
        return Err(JobError::with_hint(
            "a breakpoint waits for Enter, and nobody can press it here",
            "build with --local or on an instance, from a terminal; or set the breakpoint's `disable`",
        ));
    }
    let note = cx.mask.apply(&step.note).into_owned();
    match ask(cx, attempt, Waiting::Breakpoint { note })? {
        Answer::Continue | Answer::Retry => Ok(()),
        Answer::Cleanup | Answer::Abort => Err(JobError::new("the build was ended at the breakpoint")),
    }
}

/// With `-debug`, waits before what comes next.
pub(crate) fn before(cx: &Context<'_>, title: String) -> Result<(), JobError> {
    if !(cx.settings.interaction.debug && cx.settings.interaction.answers) {
        return Ok(());
    }
    match ask(cx, &Attempt::unlimited(), Waiting::Next { title })? {
        Answer::Continue | Answer::Retry => Ok(()),
        Answer::Cleanup | Answer::Abort => Err(JobError::Cancelled),
    }
}

/// Decides what follows a failed step: as `-on-error` says, or as a person answers.
pub(crate) fn after_failure(cx: &Context<'_>, message: &str) -> Result<AfterFailure, JobError> {
    match cx.settings.interaction.on_error {
        OnError::Cleanup | OnError::RunCleanupProvisioner => Ok(AfterFailure::CleanUp),
        OnError::Abort => Ok(AfterFailure::End),
        OnError::Ask if !cx.settings.interaction.answers => Ok(AfterFailure::CleanUp),
        OnError::Ask => {
            let message = cx.mask.apply(message).into_owned();
            match ask(cx, &Attempt::unlimited(), Waiting::Failed { message })? {
                Answer::Retry => Ok(AfterFailure::Retry),
                Answer::Cleanup | Answer::Continue => Ok(AfterFailure::CleanUp),
                Answer::Abort => Ok(AfterFailure::End),
            }
        }
    }
}
