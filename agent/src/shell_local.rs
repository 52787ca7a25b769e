//! The `shell-local` provisioner: runs scripts on the host, with the image mounted. They have the host's files, devices
//! and programs, and see the image at its mount path; of the agent's environment they have nothing.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Script, ShellLocal},
};

use crate::{
    attempt::Attempt,
    command_end, env,
    error::{ErrorContext, JobError},
    host_command::host_command,
    inline_script::inline_script,
    render::TemplateData,
    setup::Entered,
};

/// Packer's `execute_command` and `env_var_format`.
const EXECUTE: [&str; 3] = ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"];
const FORMAT: &str = "%s='%s' ";

/// Runs the scripts of a step one after the other, up to the first that fails.
pub(crate) fn run(entered: &Entered<'_>, attempt: &Attempt, step: &ShellLocal) -> Result<(), JobError> {
    let cx = entered.cx();
    let data = TemplateData::from_run_data(&cx.job.data);
    let own = step.environment.iter().map(|(key, value)| Ok((key.clone(), data.render(value, cx.host.now())?)));
    let variables = env::step_variables(&cx.job.data.build_name, own.collect::<Result<_, JobError>>()?);
    for (number, script) in step.scripts.iter().enumerate() {
        attempt.check(cx)?;
        let (name, path, temporary) = match script {
            Script::Inline(lines) => {
                let lines: Vec<String> =
                    lines.iter().map(|line| data.render(line, cx.host.now())).collect::<Result<_, _>>()?;
                let extension = step.tempfile_extension.trim_start_matches('.');
                let dot = if extension.is_empty() { "" } else { "." };
                // On a tmpfs that only this job has, and that ends with it.
                let path = cx.private_dir.join(format!("shell-local-{}-{number}{dot}{extension}", attempt.id));
                let content = inline_script(&lines, step.inline_shebang.as_deref());
                fs::write(&path, content)
                    .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)))
                    .context(|| format!("writing the script inline to {}", path.display()))?;
                ("inline".to_owned(), path, true)
            }
            Script::File(file) => (file.written.clone(), Path::new(&cx.job.files).join(&file.path), false),
        };
        let result = run_script(entered, attempt, step, &name, &path, &variables, &data);
        if temporary {
            fs::remove_file(&path).context(|| format!("removing {}", path.display()))?;
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
    let (argv, env) = if step.execute_command.is_empty() && step.env_var_format.is_none() {
        (vec![script], env::with_variables(variables))
    } else {
        let shell_text = env::as_shell_text(variables, step.env_var_format.as_deref().unwrap_or(FORMAT))?;
        let data = data.clone().with("Vars", shell_text).with("Script", &script).with("Command", &script);
        let default: Vec<DeferredTemplate> = EXECUTE.map(|word| DeferredTemplate(word.to_owned())).into();
        let words = if step.execute_command.is_empty() { &default } else { &step.execute_command };
        let mut argv = words.iter().map(|word| data.render(word, cx.host.now())).collect::<Result<Vec<_>, _>>()?;
        // One word alone is a command line, as in templates of the time when this was no list.
        if let [line] = argv.as_mut_slice() {
            argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), std::mem::take(line)];
        }
        (argv, env::base())
    };
    let what = format!("the script {name}, run on the host,");
    let command = host_command(cx, argv, env, attempt)?;
    let ended = cx.run(&command).map_err(|source| start_error(name, path, source))?;
    command_end::check(&what, ended, &step.valid_exit_codes, &attempt.timeout_text())
}

fn start_error(name: &str, path: &Path, source: std::io::Error) -> JobError {
    let executable = fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
    if source.kind() == std::io::ErrorKind::PermissionDenied && !executable {
        return JobError::with_hint(
            format!("starting the script {name} on the host: it is not executable"),
            format!("chmod +x {name}"),
        );
    }
    JobError::Io { operation: format!("starting the script {name} on the host"), source }
}
