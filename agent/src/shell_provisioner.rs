//! The `shell` provisioner: runs scripts inside the image. Their environment is passed by execve(2) and not by a shell
//! of the host, so nothing in it is expanded or has to be quoted.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bakehouse_protocol::spec::{Script, Shell, SourceFile};

use crate::{
    env::{self, shell_quoted},
    error::{ErrorContext, JobError},
    host::{Command, ProcessEnd},
    render::TemplateData,
    script::UploadedScript,
    setup::Entered,
};

/// Runs the scripts of a step one after the other, up to the first that fails. `id` is unique for each try of each
/// step.
pub(crate) fn run(
    entered: &mut Entered<'_>,
    id: &str,
    step: &Shell,
    timeout: Option<Duration>,
) -> Result<(), JobError> {
    let cx = entered.cx();
    let data = TemplateData::from_run_data(&cx.job.data);
    let own: Vec<(String, String)> = step
        .environment
        .iter()
        .map(|(key, value)| Ok((key.clone(), data.render(value, cx.host.now())?)))
        .collect::<Result<_, JobError>>()?;
    let env = env::for_step(&cx.job.data.build_name, &own);
    // The time-out is for the whole step.
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let tmp = Path::new("/tmp");
    entered.chroot_mounts.create_dirs(tmp).context(|| "creating /tmp in the image".to_owned())?;
    for (number, script) in step.scripts.iter().enumerate() {
        cx.check_cancelled()?;
        let (name, content) = read_script(entered, script, &data)?;
        let path = tmp.join(format!("bakehouse-{}-{id}-{number}.sh", cx.job.build));
        let rest = end.map(|end| end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        let writing = || format!("writing the script {name} into the image's /tmp");
        let written = UploadedScript::write(&entered.chroot_mounts.image, &name, &path, &content).context(writing)?;
        let result = run_script(entered, &written, &content, &env, &step.valid_exit_codes, rest);
        let removed = entered.chroot_mounts.remove_script(written);
        result.and(removed)?;
    }
    Ok(())
}

/// Returns the name and the content of a script.
fn read_script(entered: &Entered<'_>, script: &Script, data: &TemplateData) -> Result<(String, Vec<u8>), JobError> {
    let cx = entered.cx();
    match script {
        Script::Inline(lines) => {
            let mut text = "#!/bin/sh -e\n".to_owned();
            for line in lines {
                text.push_str(&data.render(line, cx.host.now())?);
                text.push('\n');
            }
            Ok(("inline".to_owned(), unix_lines(text.into_bytes())))
        }
        Script::File(SourceFile { written, path }) => {
            let content =
                fs::read(Path::new(&cx.job.files).join(path)).context(|| format!("reading the script {written}"))?;
            Ok((written.clone(), unix_lines(content)))
        }
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

/// Runs one script.
fn run_script(
    entered: &Entered<'_>,
    script: &UploadedScript,
    content: &[u8],
    env: &[(String, String)],
    valid_exit_codes: &[i32],
    timeout: Option<Duration>,
) -> Result<(), JobError> {
    let cx = entered.cx();
    let name = &script.name;
    let command = command(entered, &script.path, env, timeout)?;
    let (end, tail) = cx.run(&command).map_err(|source| start_error(name, content, source))?;
    let how = match end {
        ProcessEnd::Exited(code) if valid_exit_codes.contains(&code) || (valid_exit_codes.is_empty() && code == 0) => {
            return Ok(());
        }
        ProcessEnd::Exited(code) => format!("exited with status {code}"),
        ProcessEnd::Signaled(signal) => format!("was ended by signal {signal}"),
        ProcessEnd::TimedOut => {
            let timeout = timeout.map_or_else(String::new, |timeout| format!(" of {:.1} s", timeout.as_secs_f64()));
            format!("was ended because its timeout{timeout} was over")
        }
        ProcessEnd::Cancelled => return Err(JobError::Cancelled),
    };
    let hint = match end {
        ProcessEnd::Signaled(9) => {
            Some("if nobody sent signal 9, it was most likely the kernel: the host had no memory left")
        }
        ProcessEnd::Exited(127) => Some("status 127 is a shell's \"command not found\""),
        _ => None,
    };
    let message = format!("the script {name} {how}");
    Err(JobError::CommandFailed { message, tail: tail.into_lines(), hint: hint.map(str::to_owned) })
}

/// Returns the command that runs a script in the chroot. With a `command_wrapper`, that wraps a chroot(8) command of
/// the host and is run by the host's `/bin/sh`, as with Packer. Unlike with Packer every word is quoted, and the
/// environment is set inside the chroot, so that a wrapper such as sudo can't remove it.
fn command(
    entered: &Entered<'_>,
    script: &Path,
    env: &[(String, String)],
    timeout: Option<Duration>,
) -> Result<Command, JobError> {
    let cx = entered.cx();
    let wrapper = &cx.job.chroot.command_wrapper;
    let script = script.display().to_string();
    let grace = cx.job.grace.into();
    if wrapper.0.replace(' ', "") == "{{.Command}}" {
        let root = Some(entered.chroot_mounts.image.path.clone());
        return Ok(Command { root, argv: vec![script], env: env.to_vec(), timeout, grace });
    }
    let mut words = vec!["chroot".to_owned(), shell_quoted(&entered.chroot_mounts.image.path.display().to_string())];
    words.extend(["env".to_owned(), "-i".to_owned()]);
    words.extend(env.iter().map(|(key, value)| shell_quoted(&format!("{key}={value}"))));
    words.push(shell_quoted(&script));
    let wrapped = TemplateData::default().with("Command", words.join(" ")).render(wrapper, cx.host.now())?;
    let argv = ["/bin/sh", "-c", &wrapped].map(str::to_owned).into();
    Ok(Command { root: None, argv, env: env::base(), timeout, grace })
}

/// Returns the error for a script that could not be started. ENOENT from execve(2) may mean its interpreter: then that
/// is named.
fn start_error(name: &str, content: &[u8], source: std::io::Error) -> JobError {
    let interpreter = content.strip_prefix(b"#!").map(|rest| {
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
    use super::unix_lines;

    #[test]
    fn crlf_becomes_lf_and_the_last_line_is_ended() {
        assert_eq!(unix_lines(b"#!/bin/sh\r\necho a\rb".to_vec()), b"#!/bin/sh\necho a\rb\n");
        assert_eq!(unix_lines(vec![]), b"");
    }
}
