//! Runs programs on the host, outside of the image.

use std::path::{Path, PathBuf};

use crate::{
    command_end,
    context::Context,
    env,
    error::{ErrorContext, JobError},
    host::Command,
};

/// Runs a program on the host to its end, in the job's working directory, and reports its output. `name` is its name in
/// messages; an exit code that is not among `success_codes` is an error.
pub(crate) fn run_tool(cx: &Context<'_>, argv: &[&str], name: &str, success_codes: &[i32]) -> Result<(), JobError> {
    let command = Command {
        root: None,
        directory: working_directory(cx),
        argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
        env: env::base(),
        timeout: None,
        grace: cx.job.grace.into(),
    };
    let ended = cx.run(&command).context(|| format!("starting `{name}` on the host"))?;
    command_end::check(&format!("`{name}`, run on the host,"), ended, success_codes, "")
}

/// Returns the directory in which commands of the host run.
pub(crate) fn working_directory(cx: &Context<'_>) -> PathBuf {
    match cx.job.working_directory.as_str() {
        "" => PathBuf::from("/"),
        directory => Path::new(&cx.job.files).join(directory),
    }
}
