//! Runs commands that must succeed, and says how one that did not succeed ended.

use crate::{
    context::Context,
    error::{ErrorContext, JobError},
    host::{Command, ProcessEnd},
    lines::Tail,
};

/// Where a command runs, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Host,
    Image,
}

/// Runs a command to its end. Returns an error if it can't be started, or as [`check`] does. `name` is what it is
/// called in messages.
pub(crate) fn run(
    cx: &Context<'_>,
    command: &Command,
    name: &str,
    place: Place,
    valid_exit_codes: &[i32],
    timeout: &str,
) -> Result<(), JobError> {
    let (starting, what) = match place {
        Place::Host => (format!("starting {name} on the host"), format!("{name}, run on the host,")),
        Place::Image => (format!("starting {name} in the image"), name.to_owned()),
    };
    check(&what, cx.run(command).context(|| starting)?, valid_exit_codes, timeout)
}

/// Returns an error unless a command ended with one of these exit codes (none: only 0). `what` is its name at the
/// beginning of a sentence; `timeout` is the time-out in words (` of 2.0 s`).
pub(crate) fn check(
    what: &str,
    (end, tail): (ProcessEnd, Tail),
    valid_exit_codes: &[i32],
    timeout: &str,
) -> Result<(), JobError> {
    let how = match end {
        ProcessEnd::Exited(code) if valid_exit_codes.contains(&code) || (valid_exit_codes.is_empty() && code == 0) => {
            return Ok(());
        }
        ProcessEnd::Exited(code) => format!("exited with status {code}"),
        ProcessEnd::Signaled(signal) => format!("was ended by signal {signal}"),
        ProcessEnd::TimedOut => format!("was ended because its timeout{timeout} was over"),
        ProcessEnd::Cancelled => return Err(JobError::Cancelled),
    };
    let hint = match end {
        ProcessEnd::Signaled(9) => {
            Some("if nobody sent signal 9, it was most likely the kernel: the host had no memory left")
        }
        ProcessEnd::Exited(127) => Some("status 127 is a shell's \"command not found\""),
        _ => None,
    };
    Err(JobError::CommandFailed {
        message: format!("{what} {how}"),
        tail: tail.into_lines(),
        hint: hint.map(str::to_owned),
    })
}
