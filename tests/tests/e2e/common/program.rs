//! The program under test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The built `bakehouse`. It belongs to another package, so cargo does not say where it is: beside the directory of the
/// test program. It is built now if it does not exist or is older than its sources.
pub(crate) fn bakehouse() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // <target>/<profile>/deps/e2e-<hash>
        let profile = test.ancestors().nth(2).unwrap();
        let program = profile.join("bakehouse");
        // It has been built for all tests, with more features than would be built here.
        if std::env::var_os("BAKEHOUSE_TEST_BUILT").is_none() && !is_fresh(&program) {
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

/// Whether a program is newer than all its sources, which cargo lists in a file beside it: `program: source source …`.
fn is_fresh(program: &Path) -> bool {
    let Ok(sources) = fs::read_to_string(program.with_extension("d")) else { return false };
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let made = changed(program);
    let sources = sources.split_once(": ").map_or("", |(_, sources)| sources);
    // A blank in a name is escaped; one so named is not found, and the program is built anew: only slower.
    made.is_some()
        && sources.split_whitespace().all(|source| changed(Path::new(source)).is_some_and(|at| Some(at) <= made))
}
