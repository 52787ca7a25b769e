//! `shell`: scripts run inside the image. A script gets its environment as it is, by execve(2): no shell of the host
//! sees it, so nothing in it is expanded or has to be quoted.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bakehouse_protocol::spec::{Script, Shell, SourceFile};

use crate::{
    env::{self, quoted},
    error::{Doing, JobError},
    host::{Command, End},
    render::Fields,
    script::UploadedScript,
    setup::Entered,
};

/// Runs the scripts one after the other; the first that fails ends it.
pub(crate) fn run(entered: &mut Entered<'_>, id: &str, step: &Shell, limit: Option<Duration>) -> Result<(), JobError> {
    let cx = entered.cx();
    let fields = Fields::of_run(&cx.job.data);
    let own: Vec<(String, String)> = step
        .environment
        .iter()
        .map(|(key, value)| Ok((key.clone(), fields.render(value, cx.host.now())?)))
        .collect::<Result<_, JobError>>()?;
    let env = env::of_step(&cx.job.data.build_name, &own);
    // The limit is for the whole step.
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let tmp = Path::new("/tmp");
    entered.chroot_mounts.make_dirs(tmp).doing(|| "making /tmp in the image".to_owned())?;
    for (number, script) in step.scripts.iter().enumerate() {
        cx.check_cancelled()?;
        let (name, content) = content(entered, script, &fields)?;
        let path = tmp.join(format!("bakehouse-{}-{id}-{number}.sh", cx.job.build));
        let rest = end.map(|end| end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        let writing = || format!("writing the script {name} into the image's /tmp");
        let written = UploadedScript::write(&entered.chroot_mounts.image, &name, &path, &content).doing(writing)?;
        let ran = run_one(entered, &written, &content, &env, &step.valid_exit_codes, rest);
        let removed = entered.chroot_mounts.remove_script(written);
        ran.and(removed)?;
    }
    Ok(())
}

/// What the script is called, and its text.
fn content(entered: &Entered<'_>, script: &Script, fields: &Fields) -> Result<(String, Vec<u8>), JobError> {
    let cx = entered.cx();
    match script {
        Script::Inline(lines) => {
            let mut text = "#!/bin/sh -e\n".to_owned();
            for line in lines {
                text.push_str(&fields.render(line, cx.host.now())?);
                text.push('\n');
            }
            Ok(("inline".to_owned(), unix_lines(text.into_bytes())))
        }
        Script::File(SourceFile { written, path }) => {
            let content =
                fs::read(Path::new(&cx.job.files).join(path)).doing(|| format!("reading the script {written}"))?;
            Ok((written.clone(), unix_lines(content)))
        }
    }
}

/// Lines as Unix ends them, whatever the editor thought, and the last one ended, too; as Packer has it.
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

fn run_one(
    entered: &Entered<'_>,
    script: &UploadedScript,
    content: &[u8],
    env: &[(String, String)],
    valid: &[i32],
    limit: Option<Duration>,
) -> Result<(), JobError> {
    let cx = entered.cx();
    let name = &script.name;
    let command = command(entered, &script.path, env, limit)?;
    let (end, tail) = cx.run(&command).map_err(|source| no_start(name, content, source))?;
    let how = match end {
        End::Exited(code) if valid.contains(&code) || (valid.is_empty() && code == 0) => {
            return Ok(());
        }
        End::Exited(code) => format!("exited with status {code}"),
        End::Signaled(signal) => format!("was ended by signal {signal}"),
        End::TimedOut => {
            let limit = limit.map_or_else(String::new, |limit| format!(" of {:.1} s", limit.as_secs_f64()));
            format!("was ended because its timeout{limit} was over")
        }
        End::Cancelled => return Err(JobError::Cancelled),
    };
    let hint = match end {
        End::Signaled(9) => Some("signal 9 that nobody sent is most often the kernel's: the host had no memory left"),
        End::Exited(127) => Some("status 127 is a shell's \"command not found\""),
        _ => None,
    };
    let message = format!("the script {name} {how}");
    Err(JobError::Step { message, tail: tail.into_lines(), hint: hint.map(str::to_owned) })
}

/// The script as a program in the chroot. With a `command_wrapper`, what is wrapped is the chroot(8) of the host, as
/// with Packer: the wrapper stands outside and is run by the host's `/bin/sh`. Unlike with Packer every word is quoted,
/// and the environment is set inside, so that a wrapper like sudo can't lose it.
fn command(
    entered: &Entered<'_>,
    script: &Path,
    env: &[(String, String)],
    limit: Option<Duration>,
) -> Result<Command, JobError> {
    let cx = entered.cx();
    let wrapper = &cx.job.chroot.command_wrapper;
    let script = script.display().to_string();
    let grace = cx.job.grace.into();
    if wrapper.0.replace(' ', "") == "{{.Command}}" {
        let root = Some(entered.chroot_mounts.image.path.clone());
        return Ok(Command { root, argv: vec![script], env: env.to_vec(), limit, grace });
    }
    let mut words = vec!["chroot".to_owned(), quoted(&entered.chroot_mounts.image.path.display().to_string())];
    words.extend(["env".to_owned(), "-i".to_owned()]);
    words.extend(env.iter().map(|(key, value)| quoted(&format!("{key}={value}"))));
    words.push(quoted(&script));
    let wrapped = Fields::default().with("Command", words.join(" ")).render(wrapper, cx.host.now())?;
    let argv = ["/bin/sh", "-c", &wrapped].map(str::to_owned).into();
    Ok(Command { root: None, argv, env: env::base(), limit, grace })
}

/// ENOENT from execve(2) may mean the script's interpreter, which is worth saying.
fn no_start(name: &str, content: &[u8], source: std::io::Error) -> JobError {
    let interpreter = content.strip_prefix(b"#!").map(|rest| {
        let line = rest.split(|&b| b == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(line).trim().to_owned()
    });
    match interpreter {
        Some(line) if source.kind() == std::io::ErrorKind::NotFound => {
            let doing = format!("starting the script {name}: its interpreter (#!{line}) is not in the image");
            JobError::Io { doing, source }
        }
        _ => JobError::Io { doing: format!("starting the script {name} in the image"), source },
    }
}

#[cfg(test)]
mod line_tests {
    use super::unix_lines;

    #[test]
    fn scripts_from_windows_run() {
        assert_eq!(unix_lines(b"#!/bin/sh\r\necho a\rb".to_vec()), b"#!/bin/sh\necho a\rb\n");
        assert_eq!(unix_lines(vec![]), b"");
    }
}
