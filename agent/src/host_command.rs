//! Commands of steps that run on the host.

use std::path::Path;

use crate::{attempt::Attempt, context::Context, env, error::JobError, host::Command, host_tool::working_directory};

/// Returns the command that runs a program on the host in the job's working directory, with exactly this environment.
/// The program's name is looked up in [`env::PATH`] unless it is a path.
pub(crate) fn host_command(
    cx: &Context<'_>,
    mut argv: Vec<String>,
    env: Vec<(String, String)>,
    attempt: &Attempt,
) -> Result<Command, JobError> {
    let directory = working_directory(cx)?;
    let name = argv.first().cloned().unwrap_or_default();
    match find_program(&directory, &name) {
        Some(program) => argv[0] = program,
        None => {
            return Err(JobError::with_hint(
                format!("{name} is not on the host"),
                format!("install it there; programs are looked for in {}", env::PATH),
            ));
        }
    }
    let (timeout, grace) = (attempt.rest(), cx.job.grace.into());
    Ok(Command { in_image: false, root: None, directory, argv, env, timeout, grace })
}

/// Returns the path of a program: its name if that is a path, which may be relative to the working directory.
fn find_program(directory: &Path, name: &str) -> Option<String> {
    if name.contains('/') {
        return directory.join(name).exists().then(|| name.to_owned());
    }
    env::PATH.split(':').map(|place| format!("{place}/{name}")).find(|path| Path::new(path).exists())
}
