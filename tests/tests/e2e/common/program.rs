//! The program under test.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The built `bakehouse`. It belongs to another package, so that cargo tells nobody here where it is: beside the
/// directory of the test's own program. Built now if it is not there.
pub(crate) fn bakehouse() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // <target>/<profile>/deps/e2e-<hash>
        let profile = test.ancestors().nth(2).unwrap();
        let program = profile.join("bakehouse");
        if !program.exists() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--quiet", "-p", "bakehouse", "--target-dir"]).arg(profile.parent().unwrap());
            if !profile.ends_with("debug") {
                cargo.arg("--release");
            }
            let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
            assert!(built.success() && program.exists(), "{cargo:?} made no {}", program.display());
        }
        program
    })
}
