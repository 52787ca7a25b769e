//! Runs programs on the host, outside of the image.

use crate::{
    context::Context,
    env,
    error::{ErrorContext, JobError},
    host::{Command, ProcessEnd},
};

/// Runs a program on the host to its end and reports its output. `name` is its name in messages; an exit code that is
/// not among `success_codes` is an error.
pub(crate) fn run_tool(cx: &Context<'_>, argv: &[&str], name: &str, success_codes: &[i32]) -> Result<(), JobError> {
    let command = Command {
        root: None,
        argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
        env: env::base(),
        timeout: None,
        grace: cx.job.grace.into(),
    };
    let (end, tail) = cx.run(&command).context(|| format!("starting `{name}` on the host"))?;
    let how = match end {
        ProcessEnd::Exited(code) if success_codes.contains(&code) => return Ok(()),
        ProcessEnd::Exited(code) => format!("exited with status {code}"),
        ProcessEnd::Signaled(signal) => format!("was ended by signal {signal}"),
        ProcessEnd::TimedOut => "took too long".to_owned(),
        ProcessEnd::Cancelled => return Err(JobError::Cancelled),
    };
    Err(JobError::CommandFailed {
        message: format!("`{name}`, run on the host, {how}"),
        tail: tail.into_lines(),
        hint: None,
    })
}
