//! The programs under test: `bakehouse` (with what speaks to AWS), `bakehouse-agent` and the function's `bootstrap`.

use std::{
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
    let program = built().join(name);
    assert!(program.exists(), "there is no {}", program.display());
    program
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
