//! Runs programs on the host, outside of the image.

use std::path::{Path, PathBuf};

use crate::{
    command_end::{self, Place},
    context::Context,
    env,
    error::JobError,
    host::Command,
};

/// Runs a program on the host to its end, in this directory, and reports its output. `name` is its name in messages; an
/// exit code that is not among `success_codes` is an error.
pub(crate) fn run_tool(
    cx: &Context<'_>,
    directory: &Path,
    argv: &[&str],
    name: &str,
    success_codes: &[i32],
) -> Result<(), JobError> {
    let command = Command {
        in_image: false,
        root: None,
        directory: directory.to_owned(),
        argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
        env: env::base(),
        timeout: None,
        grace: cx.job.grace.into(),
    };
    command_end::run(cx, &command, &format!("`{name}`"), Place::Host, success_codes, "")
}

/// Returns the directory in which the template's commands of the host run.
pub(crate) fn working_directory(cx: &Context<'_>) -> Result<PathBuf, JobError> {
    let directory = match cx.job.working_directory.as_str() {
        "" => PathBuf::from("/"),
        directory => Path::new(&cx.job.files).join(directory),
    };
    if directory.is_dir() {
        return Ok(directory);
    }
    Err(JobError::with_hint(
        format!("there is no directory {} on the host, in which its commands are to run", directory.display()),
        "it is the working directory of the program that read the template",
    ))
}
