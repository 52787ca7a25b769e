//! The programs under test: `bakehouse` (with what speaks to AWS), `bakehouse-agent` and the function's `bootstrap`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The directory that they are in; built once for all tests, by cargo, which knows what is fresh.
fn built() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // <target>/<profile>/deps/pair-<hash>
        let profile = test.ancestors().nth(2).unwrap().to_path_buf();
        // Built already by whoever says so (`cargo xtask test`): cargo itself would wait for the lock of the one that
        // runs this test.
        if std::env::var_os("BAKEHOUSE_TEST_BUILT").is_none() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args([
                "build",
                "--quiet",
                "-p",
                "bakehouse",
                "-p",
                "bakehouse-lambda",
                "-p",
                "bakehouse-agent-daemon",
            ]);
            cargo.args(["--features", "bakehouse/aws", "--target-dir"]).arg(profile.parent().unwrap());
            if !profile.ends_with("debug") {
                cargo.arg("--release");
            }
            let done = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
            assert!(done.success(), "{cargo:?} failed");
        }
        profile
    })
}

fn program(name: &str) -> PathBuf {
    let program = others().unwrap_or_else(|| built().to_path_buf()).join(name);
    program.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// A directory with other programs than those that were built with the tests: what `cargo xtask package` has built,
/// say, when its memory is to be measured (docs/performance.md).
fn others() -> Option<PathBuf> {
    std::env::var_os("BAKEHOUSE_TEST_PROGRAMS").map(PathBuf::from)
}

/// How much memory the running processes of a program hold and have held at most, in KiB.
pub(crate) fn memory(program: &Path) -> Vec<(u64, u64)> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let ours = processes.filter(|process| fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program));
    let read = |process: PathBuf| {
        let status = fs::read_to_string(process.join("status")).ok()?;
        let kib = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some((kib("VmRSS:")?, kib("VmHWM:")?))
    };
    ours.filter_map(read).collect()
}

pub(crate) fn bakehouse() -> PathBuf {
    program("bakehouse")
}

pub(crate) fn agent() -> PathBuf {
    program("bakehouse-agent")
}

pub(crate) fn bootstrap() -> PathBuf {
    program("bootstrap")
}
