//! The programs from outside that tests use: cfn-lint, checkov, the aws CLI. `cargo xtask setup` installs them.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A directory with the virtual environments that hold them.
pub const DIRECTORY: &str = "BAKEHOUSE_TOOLS";

/// Where `cargo xtask setup` puts them unless told otherwise.
fn directory() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set(DIRECTORY).unwrap_or_else(|| cache().unwrap_or_else(env::temp_dir).join("bakehouse-tools"))
}

/// Where a program is: in one of the virtual environments of [`DIRECTORY`] (or in that, if it is one itself), or in
/// `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let directory = directory();
    let mut places = vec![directory.join("bin")];
    let within = std::fs::read_dir(&directory).into_iter().flatten().flatten();
    places.extend(within.map(|entry| entry.path().join("bin")));
    places.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    places.into_iter().map(|place| place.join(program)).find(|file| file.is_file())
}

/// The program, ready for arguments. If there is none on this machine, says `SKIP` and why.
pub fn command(test: &str, program: &str) -> Option<Command> {
    let Some(path) = find(program) else {
        println!("SKIP {test}: no {program} (cargo xtask setup installs it)");
        return None;
    };
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    Some(command)
}
