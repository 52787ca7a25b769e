//! `cargo xtask fuzz`: runs the fuzz targets, each for some seconds.
//!
//! The targets have cargo-fuzz's layout and can be run with it, too. Here they are compiled by cargo alone, with the
//! flags that libFuzzer needs (LLVM's SanitizerCoverage), so that the build machine needs neither cargo-fuzz nor a
//! nightly compiler.

use std::{fs, path::Path};

use crate::sh::{self, Error, Result};

const TARGETS: [&str; 4] = ["json_template", "hcl_template", "hcl_format", "go_template"];

/// Coverage feedback for libFuzzer; see the LLVM documentation, "SanitizerCoverage".
const FLAGS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Runs every target, or only one, for so many seconds. What makes one fail is kept in `fuzz/artifacts`.
pub(crate) fn fuzz(seconds: u32, only: Option<&str>) -> Result<()> {
    if let Some(name) = only.filter(|name| !TARGETS.contains(name)) {
        return Err(Error::Unready(format!("there is no fuzz target {name}: there are {}", TARGETS.join(", "))));
    }
    let directory = sh::root().join("fuzz");
    let target = sh::target()?.join("fuzz");
    let flags = FLAGS.join(" ");
    let mut build = sh::cargo();
    build
        .args(["build", "--locked", "--release", "--quiet", "--target", host()?.as_str()])
        .current_dir(&directory)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", flags);
    sh::run(&mut build)?;
    for name in TARGETS.into_iter().filter(|name| only.is_none_or(|only| only == *name)) {
        run(&directory, &target.join(host()?).join("release").join(name), name, seconds)?;
    }
    Ok(())
}

fn run(directory: &Path, program: &Path, name: &str, seconds: u32) -> Result<()> {
    let (corpus, artifacts) = (directory.join("corpus").join(name), directory.join("artifacts").join(name));
    for path in [&corpus, &artifacts] {
        fs::create_dir_all(path).map_err(Error::file("create", path))?;
    }
    let mut command = sh::command(program);
    command
        .args([format!("-max_total_time={seconds}"), "-timeout=10".into(), "-rss_limit_mb=1024".into()])
        .args(["-max_len=16384", "-print_final_stats=1", "-close_fd_mask=1"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&corpus)
        .arg(sh::root().join("tests/templates"))
        .current_dir(directory);
    sh::run(&mut command)
}

/// Returns the target triple of this machine. With an explicit one, build scripts are compiled without the flags.
fn host() -> Result<String> {
    let version = sh::output(sh::command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Error::Failed("rustc -vV names no host".to_owned()))
}
