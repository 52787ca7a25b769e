//! Says how a command that did not succeed ended.

use crate::{error::JobError, host::ProcessEnd, lines::Tail};

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
