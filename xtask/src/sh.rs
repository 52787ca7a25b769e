//! Running other programs, with an error that names the program, its arguments and how it ended.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// What can go wrong in a task.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The machine or the arguments are not what the task needs; the text says what to do. Exit code 2.
    #[error("{0}")]
    Unready(String),
    /// A check said no. The details are printed already.
    #[error("{0}")]
    Failed(String),
    #[error("could not start `{command}`")]
    Start {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` ended with {status}{said}")]
    Ended {
        command: String,
        status: ExitStatus,
        /// What it printed, if that was not shown as it came: empty, or text that begins with a new line.
        said: String,
    },
    #[error("could not {what} {}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("could not read the answer of `{command}`")]
    Answer {
        command: String,
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// The exit code of a task that ends so: 2 if the user has something to do first, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unready(_) => 2,
            _ => 1,
        }
    }

    /// For `map_err` on a file operation.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Where Debian keeps the programs that only root needs. They are not in everyone's PATH.
const SYSTEM_PATHS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

fn path() -> Vec<PathBuf> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = std::env::split_paths(&own).collect();
    all.extend(SYSTEM_PATHS.iter().map(PathBuf::from));
    all
}

/// Where the program is, if it is installed.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    path()
        .into_iter()
        .map(|directory| directory.join(program))
        .find(|file| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
}

/// A command that also finds what is in the system's own directories, and reads nothing.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Ok(path) = std::env::join_paths(path()) {
        command.env("PATH", path);
    }
    command.stdin(Stdio::null());
    command
}

/// `cargo`, the one that runs this task.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // Cargo sets these for the program that it runs. Build scripts that look at them would run again, and what depends
    // on them be compiled again, whenever cargo is called from here and from a shell by turns.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs the command with its output passed through.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|source| Error::Start { command: shown(command), source })?;
    check(command, status, String::new())
}

/// Runs the command and returns its stdout; stderr is shown only if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|source| Error::Start { command: shown(command), source })?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut said = String::new();
    for text in [stdout.trim(), String::from_utf8_lossy(&output.stderr).trim()] {
        if !text.is_empty() {
            said.push_str(":\n");
            said.push_str(text);
        }
    }
    check(command, output.status, said)?;
    Ok(stdout)
}

fn check(command: &Command, status: ExitStatus, said: String) -> Result<()> {
    if status.success() { Ok(()) } else { Err(Error::Ended { command: shown(command), status, said }) }
}

/// Runs it and reads its stdout as one JSON value.
pub(crate) fn json(command: &mut Command) -> Result<serde_json::Value> {
    let text = output(command)?;
    serde_json::from_str(&text).map_err(|source| Error::Answer { command: shown(command), source })
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    // `cargo run` sets it, too; what was true at compile time may be of another clone that shares the target directory.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let xtask = PathBuf::from(xtask);
    xtask.parent().map(Path::to_owned).unwrap_or(xtask)
}

/// Cargo's target directory, wherever the user has put it.
pub(crate) fn target() -> Result<PathBuf> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--no-deps", "--format-version=1"]);
    let answer = json(&mut metadata)?;
    Ok(PathBuf::from(answer["target_directory"].as_str().unwrap_or("target")))
}

/// Returns how many processors there are.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // /proc/self belongs to the process's effective user.
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
