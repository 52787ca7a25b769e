//! The `shell-local` provisioner: runs scripts on the host, with the image mounted. They have the host's files, devices
//! and programs, and see the image at its mount path; of the agent's environment they have nothing.

use std::{collections::BTreeMap, fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path};

use bakehouse_protocol::spec::{Script, ShellLocal, inline_script};

use crate::{
    attempt::Attempt,
    command_end::{self, Place},
    env,
    error::{ErrorContext, JobError},
    host_command::host_command,
    render::TemplateData,
    setup::Entered,
};

/// Runs the scripts of a step one after the other, up to the first that fails.
pub(crate) fn run(entered: &Entered<'_>, attempt: &Attempt, step: &ShellLocal) -> Result<(), JobError> {
    let cx = entered.cx();
    let data = entered.step_data();
    let own = data.render_variables(&step.environment, cx.host.now())?;
    let variables = env::step_variables(&cx.job.data.build_name, own);
    for (number, script) in step.scripts.iter().enumerate() {
        attempt.check(cx)?;
        let (name, path, temporary) = match script {
            Script::Inline(lines) => {
                let lines = data.render_all(lines, cx.host.now())?;
                // On a tmpfs that only this job has, and that ends with it.
                let name = format!("shell-local-{}-{number}{}", attempt.id, step.tempfile_suffix());
                let path = cx.private_dir.join(name);
                let content = inline_script(&lines, step.inline_shebang.as_deref());
                fs::write(&path, content)
                    .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)))
                    .context(|| format!("writing the script inline to {}", path.display()))?;
                ("inline".to_owned(), path, true)
            }
            Script::File(file) => (file.written.clone(), cx.source_path(file), false),
        };
        let result = run_script(entered, attempt, step, &name, &path, &variables, &data);
        if temporary {
            // It may have removed itself; one that stays ends with the tmpfs.
            let _ = fs::remove_file(&path);
        }
        result?;
    }
    Ok(())
}

fn run_script(
    entered: &Entered<'_>,
    attempt: &Attempt,
    step: &ShellLocal,
    name: &str,
    path: &Path,
    variables: &BTreeMap<String, String>,
    data: &TemplateData,
) -> Result<(), JobError> {
    let cx = entered.cx();
    let script = path.display().to_string();
    let (argv, env) = if step.runs_scripts_directly() {
        (vec![script], env::with_variables(variables))
    } else {
        let data = data.clone().with("Vars", step.variables_text(variables)?);
        let data = data.with("Script", &script).with("Command", &script);
        (step.command(|word| data.render(word, cx.host.now()))?, env::base())
    };
    let command = host_command(cx, argv, env, attempt)?;
    let what = format!("the script {name}");
    command_end::run(cx, &command, &what, Place::Host, &step.valid_exit_codes, &attempt.timeout_text()).map_err(
        |error| match error {
            JobError::Io { operation, source }
                if source.kind() == ErrorKind::PermissionDenied && !is_executable(path) =>
            {
                JobError::with_hint(format!("{operation}: it is not executable"), format!("chmod +x {name}"))
            }
            error => error,
        },
    )
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
}
