//! The `shell` provisioner: runs scripts inside the image. Unless the template asks for another way, a script is
//! executed directly and its environment is passed by execve(2). With `execute_command` a shell of the image runs what
//! that yields. No shell of the host sees a variable's value unquoted.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{
    DeferredTemplate, Millis,
    spec::{ENV_VAR_FORMAT, Script, Shell, ShellOptions, inline_script, variables_as_shell_text},
};

use crate::{
    attempt::Attempt,
    command_end, env,
    error::{ErrorContext, JobError},
    host::ProcessEnd,
    image_command::image_command,
    lines::Tail,
    render::TemplateData,
    script::UploadedFile,
    setup::Entered,
    start_retry::StartRetry,
};

/// Where scripts are written unless the template says otherwise.
const DEFAULT_FOLDER: &str = "/tmp";
/// Packer's `execute_command`, which is needed only if it differs from executing the script directly.
const EXECUTE: &str = "chmod +x {{.Path}}; {{.Vars}} {{.Path}}";
const EXECUTE_WITH_FILE: &str = "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}";
/// Packer's `env_var_format` with `use_env_var_file`.
const FORMAT_IN_FILE: &str = "export %s='%s'\n";
/// Packer's `start_retry_timeout`.
const START_RETRY_TIMEOUT: Millis = Millis::seconds(300);

/// Runs the scripts of a step one after the other, up to the first that fails.
pub(crate) fn run(entered: &mut Entered<'_>, attempt: &Attempt, step: &Shell) -> Result<(), JobError> {
    let cx = entered.cx();
    let data = entered.step_data();
    let own = data.render_variables(&step.environment, cx.host.now())?;
    let variables = env::step_variables(&cx.job.data.build_name, own);
    let folder = Path::new(step.options.remote_folder.as_deref().unwrap_or(DEFAULT_FOLDER));
    if folder == Path::new(DEFAULT_FOLDER) {
        entered.chroot_mounts.create_dirs(folder).context(|| "creating /tmp in the image".to_owned())?;
    }
    let mut run = ShellRun { attempt, step, folder, variables, data, variable_file: None };
    let result = run.upload_variables(entered).and_then(|()| run.run_scripts(entered));
    // Even with `skip_clean`, as with Packer.
    let removed = run.variable_file.take().map_or(Ok(()), |file| entered.chroot_mounts.remove_file(file));
    result.and(removed)?;
    match step.options.pause_after {
        Some(pause) => {
            cx.note(format!("pausing {pause} after the step"));
            // The step has succeeded: its time-out is no longer of interest.
            Attempt::unlimited().sleep(cx, pause.into())
        }
        None => Ok(()),
    }
}

/// One try of a step.
struct ShellRun<'a> {
    attempt: &'a Attempt,
    step: &'a Shell,
    folder: &'a Path,
    variables: BTreeMap<String, String>,
    data: TemplateData,
    /// The file with the variables in the image, with `use_env_var_file`.
    variable_file: Option<UploadedFile>,
}

impl ShellRun<'_> {
    fn options(&self) -> &ShellOptions {
        &self.step.options
    }

    fn start_retry(&self) -> StartRetry {
        let timeout = self.options().start_retry_timeout;
        StartRetry::new(timeout.unwrap_or(START_RETRY_TIMEOUT).into(), timeout.is_some())
    }

    fn shell_text(&self) -> Result<String, JobError> {
        let default = if self.options().use_env_var_file { FORMAT_IN_FILE } else { ENV_VAR_FORMAT };
        let format = self.options().env_var_format.as_deref().unwrap_or(default);
        Ok(variables_as_shell_text(&self.variables, format)?)
    }

    fn upload_variables(&mut self, entered: &Entered<'_>) -> Result<(), JobError> {
        if self.options().use_env_var_file {
            let content = self.shell_text()?;
            let name = format!("bakehouse-{}-{}-variables.sh", entered.cx().job.build, self.attempt.id);
            let path = self.folder.join(name);
            let image = &entered.chroot_mounts.image;
            let file = self.start_retry().run(entered.cx(), self.attempt, || {
                UploadedFile::write(image, "the variables of the step", &path, content.as_bytes(), 0o600)
                    .context(|| format!("writing the variables of the step to {} in the image", path.display()))
            })?;
            self.variable_file = Some(file);
        }
        Ok(())
    }

    fn run_scripts(&self, entered: &mut Entered<'_>) -> Result<(), JobError> {
        for (number, script) in self.step.scripts.iter().enumerate() {
            self.attempt.check(entered.cx())?;
            let (name, content) = self.read_script(entered, script)?;
            let path = match &self.options().remote_path {
                Some(path) => PathBuf::from(path),
                None => {
                    let build = &entered.cx().job.build;
                    self.folder.join(format!("bakehouse-{build}-{}-{number}.sh", self.attempt.id))
                }
            };
            let mut uploaded = None;
            let ended = self.start_retry().run(entered.cx(), self.attempt, || {
                let image = &entered.chroot_mounts.image;
                let writing = || {
                    let folder = path.parent().unwrap_or(Path::new("/")).display();
                    format!("writing the script {name} into the image's {folder}")
                };
                let what = format!("the script {name}");
                uploaded = Some(UploadedFile::write(image, &what, &path, &content, 0o755).context(writing)?);
                self.start(entered, &name, &path, &content)
            });
            let what = format!("the script {name}");
            let timeout = self.attempt.timeout_text();
            let result =
                ended.and_then(|ended| command_end::check(&what, ended, &self.step.valid_exit_codes, &timeout));
            let removed = match uploaded.filter(|_| !self.options().skip_clean) {
                Some(script) => entered.chroot_mounts.remove_file(script),
                None => Ok(()),
            };
            result.and(removed)?;
        }
        Ok(())
    }

    /// Returns the name and the content of a script.
    fn read_script(&self, entered: &Entered<'_>, script: &Script) -> Result<(String, Vec<u8>), JobError> {
        let cx = entered.cx();
        let (name, content) = match script {
            Script::Inline(lines) => {
                let lines = self.data.render_all(lines, cx.host.now())?;
                ("inline".to_owned(), inline_script(&lines, self.options().inline_shebang.as_deref()).into_bytes())
            }
            Script::File(file) => {
                let reading = || format!("reading the script {}", file.written);
                (file.written.clone(), fs::read(cx.source_path(file)).context(reading)?)
            }
        };
        Ok((name, if self.options().binary { content } else { unix_lines(content) }))
    }

    /// Runs a script to its end.
    fn start(
        &self,
        entered: &Entered<'_>,
        name: &str,
        path: &Path,
        content: &[u8],
    ) -> Result<(ProcessEnd, Tail), JobError> {
        let cx = entered.cx();
        let options = self.options();
        let (argv, env) = match &options.execute_command {
            None if options.env_var_format.is_none() && !options.use_env_var_file => {
                (vec![path.display().to_string()], env::with_variables(&self.variables))
            }
            custom => {
                let default = if options.use_env_var_file { EXECUTE_WITH_FILE } else { EXECUTE };
                let default = DeferredTemplate(default.to_owned());
                let file = self.variable_file.as_ref().map(|file| file.path.display().to_string());
                let data = self.data.clone().with("Vars", self.shell_text()?).with("Path", path.display().to_string());
                let data = data.with("EnvVarFile", file.unwrap_or_default());
                let text = data.render(custom.as_ref().unwrap_or(&default), cx.host.now())?;
                (["/bin/sh", "-c", &text].map(str::to_owned).into(), env::base())
            }
        };
        let direct = argv.len() == 1;
        let command = image_command(entered, argv, env, self.attempt)?;
        cx.run(&command).map_err(|source| start_error(name, direct.then_some(content), source))
    }
}

/// Converts CRLF line endings to LF and ends the last line, as Packer does.
fn unix_lines(content: Vec<u8>) -> Vec<u8> {
    let mut text = Vec::with_capacity(content.len() + 1);
    for (at, &byte) in content.iter().enumerate() {
        if !(byte == b'\r' && content.get(at + 1) == Some(&b'\n')) {
            text.push(byte);
        }
    }
    if text.last().is_some_and(|&last| last != b'\n') {
        text.push(b'\n');
    }
    text
}

/// Returns the error for a script that could not be started. ENOENT from execve(2) may mean its interpreter: then that
/// is named. `content` is that of the script if it was executed directly.
fn start_error(name: &str, content: Option<&[u8]>, source: std::io::Error) -> JobError {
    let interpreter = content.and_then(|content| content.strip_prefix(b"#!")).map(|rest| {
        let line = rest.split(|&b| b == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(line).trim().to_owned()
    });
    match interpreter {
        Some(line) if source.kind() == std::io::ErrorKind::NotFound => {
            let operation = format!("starting the script {name}: its interpreter (#!{line}) is not in the image");
            JobError::Io { operation, source }
        }
        _ => JobError::Io { operation: format!("starting the script {name} in the image"), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crlf_becomes_lf_and_the_last_line_is_ended() {
        assert_eq!(unix_lines(b"#!/bin/sh\r\necho a\rb".to_vec()), b"#!/bin/sh\necho a\rb\n");
        assert_eq!(unix_lines(vec![]), b"");
    }
}
