//! Running a program on the host.

use crate::{
    context::Context,
    env,
    error::{Doing, JobError},
    host::{Command, End},
};

/// Runs a program on the host to its end and reports its output. `name` is what messages call it; `fine` are the exit
/// codes that are no failure.
pub(crate) fn run_tool(cx: &Context<'_>, argv: &[&str], name: &str, fine: &[i32]) -> Result<(), JobError> {
    let command = Command {
        root: None,
        argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
        env: env::base(),
        limit: None,
        grace: cx.job.grace.into(),
    };
    let (end, tail) = cx.run(&command).doing(|| format!("starting `{name}` on the host"))?;
    let how = match end {
        End::Exited(code) if fine.contains(&code) => return Ok(()),
        End::Exited(code) => format!("exited with status {code}"),
        End::Signaled(signal) => format!("was ended by signal {signal}"),
        End::TimedOut => "took too long".to_owned(),
        End::Cancelled => return Err(JobError::Cancelled),
    };
    Err(JobError::Step { message: format!("`{name}`, run on the host, {how}"), tail: tail.into_lines(), hint: None })
}
