//! The `shell-local` post-processor.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::{
        fs::{OpenOptionsExt as _, PermissionsExt as _},
        process::ExitStatusExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use bakehouse_protocol::{
    Stream, Timestamp,
    spec::{Script, ShellLocal, inline_script},
};

use super::{
    artifact::BUILDER_TYPE,
    error::{PostError, file},
    process::{self, End},
    run_data::{Fields, render},
    script,
};

/// What a script is run with.
pub(super) struct Surroundings<'a> {
    pub(super) build_name: &'a str,
    pub(super) run_uuid: &'a str,
    pub(super) fields: &'a Fields,
    pub(super) now: Timestamp,
    /// The working directory.
    pub(super) directory: &'a Path,
    /// Where scripts are written.
    pub(super) temporary: &'a Path,
    pub(super) is_cancelled: &'a dyn Fn() -> bool,
}

/// Runs the scripts, one after the other.
pub(super) fn run(
    shell: &ShellLocal,
    around: &Surroundings<'_>,
    output: &mut dyn FnMut(Stream, &str),
) -> Result<(), PostError> {
    let variables = variables(shell, around)?;
    for script in &shell.scripts {
        let (name, path, _written) = match script {
            Script::File(source) => (source.written.clone(), around.directory.join(&source.path), None),
            Script::Inline(lines) => {
                let lines = lines.iter().map(|line| render("`inline`", line, around.fields, around.now));
                let text = inline_script(&lines.collect::<Result<Vec<_>, _>>()?, shell.inline_shebang.as_deref());
                let written = Written::new(around, &shell.tempfile_suffix(), &text)?;
                ("the inline script".to_owned(), written.0.clone(), Some(written))
            }
        };
        let script = path.display().to_string();
        let words = if shell.runs_scripts_directly() && !is_executable(&path) {
            vec!["/bin/sh".to_owned(), script]
        } else {
            script::command(shell, &script, &variables, around.fields, around.now)?
        };
        let Some((program, arguments)) = words.split_first() else { continue };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(around.directory).envs(&variables).env("PACKER_RUN_UUID", around.run_uuid);
        let ended = process::run(command, around.is_cancelled, output)
            .map_err(|source| PostError::Start { script: name.clone(), source })?;
        match ended {
            End::Cancelled => return Err(PostError::Cancelled { script: name }),
            End::Exited(status) if is_valid(shell, status) => {}
            End::Exited(status) => return Err(PostError::Ended { script: name, how: how(status) }),
        }
    }
    Ok(())
}

/// Returns the variables of the scripts. Those of the template may override Packer's.
fn variables(shell: &ShellLocal, around: &Surroundings<'_>) -> Result<BTreeMap<String, String>, PostError> {
    let own = [("PACKER_BUILDER_TYPE", BUILDER_TYPE), ("PACKER_BUILD_NAME", around.build_name)];
    let mut variables = BTreeMap::from(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for (name, value) in &shell.environment {
        variables.insert(name.clone(), render(&format!("the variable {name}"), value, around.fields, around.now)?);
    }
    Ok(variables)
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

fn is_valid(shell: &ShellLocal, status: ExitStatus) -> bool {
    let default = [0];
    let valid = if shell.valid_exit_codes.is_empty() { &default[..] } else { &shell.valid_exit_codes };
    status.code().is_some_and(|code| valid.contains(&code))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// An inline script's file, which is removed afterwards.
struct Written(PathBuf);

impl Written {
    fn new(around: &Surroundings<'_>, suffix: &str, text: &str) -> Result<Self, PostError> {
        let random = getrandom::u64().unwrap_or(around.now.0);
        let path = around.temporary.join(format!("bakehouse-shell-local-{random:016x}{suffix}"));
        // Of its owner only: it may hold a secret.
        let mut file_to_write = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&path)
            .map_err(file("writing the script", &path))?;
        let written = Self(path);
        file_to_write.write_all(text.as_bytes()).map_err(file("writing the script", &written.0))?;
        Ok(written)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // One that is left does no harm.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_gotemplate::Value;
    use bakehouse_protocol::{DeferredTemplate, spec::SourceFile};

    fn shell(scripts: Vec<Script>) -> ShellLocal {
        ShellLocal {
            scripts,
            environment: vec![("SOURCE".to_owned(), DeferredTemplate("{{.SourceAMI}} it's".to_owned()))],
            valid_exit_codes: vec![0, 3],
            tempfile_extension: "sh".to_owned(),
            ..ShellLocal::default()
        }
    }

    fn inline(lines: &[&str]) -> ShellLocal {
        shell(vec![Script::Inline(lines.iter().map(|line| DeferredTemplate((*line).to_owned())).collect())])
    }

    /// What a post-processor prints in a directory of its own.
    fn printed(shell: &ShellLocal, directory: &Path) -> Result<Vec<String>, PostError> {
        let fields = Fields::from([("SourceAMI".to_owned(), Value::String("ami-1".to_owned()))]);
        let around = Surroundings {
            build_name: "web",
            run_uuid: "run-1",
            fields: &fields,
            now: Timestamp(0),
            directory,
            temporary: directory,
            is_cancelled: &|| false,
        };
        let mut lines = Vec::new();
        run(shell, &around, &mut |_, line| lines.push(line.to_owned()))?;
        Ok(lines)
    }

    #[test]
    fn an_inline_script_has_the_variables_and_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let script = inline(&[
            "echo $SOURCE {{.SourceAMI}}",
            "echo $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE $PACKER_RUN_UUID",
            "pwd",
            "echo ${0##*.}",
            "exit 3",
        ]);
        let lines = printed(&script, dir.path()).unwrap();
        assert_eq!(lines[..2], ["ami-1 it's ami-1", "web amazon-chroot run-1"]);
        assert_eq!(Path::new(&lines[2]), dir.path());
        assert_eq!(lines[3], "sh");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_script_without_the_mode_of_a_program_is_run_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("s.sh"), "echo $SOURCE").unwrap();
        let source = SourceFile { written: "s.sh".to_owned(), path: "s.sh".to_owned() };
        assert_eq!(printed(&shell(vec![Script::File(source)]), dir.path()).unwrap(), ["ami-1 it's"]);
    }

    #[test]
    fn a_bad_end_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = |line: &str| printed(&inline(&[line]), dir.path()).unwrap_err().to_string();
        assert_eq!(error("false"), "the inline script exited with status 1");
        assert_eq!(error("kill -9 $$"), "the inline script was ended by signal 9");
        assert!(error("echo {{.Nothing}}").starts_with("rendering `inline`"));
    }
}
