//! The log on standard error: off, unless `-v` or BAKEHOUSE_LOG asks for it.

use std::io::IsTerminal as _;

use bakehouse_logging::{DIRECTIVES, Format, LoggingError, directives, start};

/// What one `-v` shows: what the controller and the agent do, and every fault with its cause.
const VERBOSE: &str = "bakehouse=debug,aws=info";
/// What `-vv` shows: the AWS SDK's requests, too.
const MORE_VERBOSE: &str = "bakehouse=trace,aws=debug";
/// What a job's own process shows: it has no environment and no options.
const JOB: &str = "bakehouse=warn";

/// Starts the log of the command. BAKEHOUSE_LOG counts more than `-v`.
pub(crate) fn start_log(verbose: u8) -> Result<(), LoggingError> {
    let default = match verbose {
        0 => "",
        1 => VERBOSE,
        _ => MORE_VERBOSE,
    };
    let directives = directives(DIRECTIVES, default);
    if directives.is_empty() {
        return Ok(());
    }
    start(Format::Compact { ansi: std::io::stderr().is_terminal() }, &directives)
}

/// Starts the log of a job's process.
pub(crate) fn start_job_log() -> Result<(), LoggingError> {
    start(Format::Compact { ansi: false }, JOB)
}
