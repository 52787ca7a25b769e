//! `cargo xtask test`: runs all tests, then checks that they left nothing behind.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    base, leftovers, python,
    report::Report,
    setup::{self, Purpose},
    sh::{self, Error, Result},
};

/// The features of all tests: the command line with AWS.
const EVERYTHING: [&str; 3] = ["--workspace", "--features", "bakehouse/aws"];

/// The environment variable that tells the tests that the programs are built: cargo would wait for its own lock.
const BUILT: &str = "BAKEHOUSE_TEST_BUILT";

/// If this is set in the environment, a test that skips itself, because it finds something missing, is a failure.
const REQUIRED: &str = "BAKEHOUSE_TEST_REQUIRED";

/// Runs them all.
///
/// # Errors
/// `Failed` if a test failed or left something on the machine, or skipped itself where all are required; else what kept
/// them from running.
pub(crate) fn test() -> Result<()> {
    // Without root nothing can be installed, but most tests run all the same: those that cannot say why.
    match setup::setup(Purpose::Test) {
        Err(Error::Unready(why)) => {
            eprintln!("tools: {why}\ntools: tests that need them will be skipped")
        }
        other => other?,
    }
    let temporary = Temporary::new()?;
    let mut environment: Vec<(&str, OsString)> = vec![
        // Whatever a test leaves behind is known by this name.
        ("TMPDIR", temporary.0.clone().into()),
        // Where the Python programs are that tests use.
        (python::DIRECTORY, python::directory().into()),
        // Golden files are compared, never written.
        ("INSTA_UPDATE", "no".into()),
    ];
    environment.extend(python::program("moto_server").map(|path| ("BAKEHOUSE_TEST_MOTO", path.into())));
    let mut report = Report::default();
    if sh::is_root() {
        match base::cached() {
            Ok(base) => environment.push(("BAKEHOUSE_TEST_BASE", base.into())),
            Err(error) => {
                eprintln!("base: {error}");
                report.skip("base", "the Debian base could not be made (see above)");
            }
        }
    }
    // With the tests, so that all have the same features: otherwise the SDK is compiled twice.
    sh::run(sh::cargo().args(["build", "--all-targets"]).args(EVERYTHING))?;
    environment.push((BUILT, "1".into()));
    let before = leftovers::look(Path::new("/"));

    if sh::which("cargo-nextest").is_some() {
        nextest(&environment, &mut report)?;
    } else {
        eprintln!("tests: with `cargo test`, as there is no cargo-nextest");
        libtest(&["--lib", "--bins", "--tests"], &environment, &mut report)?;
    }
    // Neither of the above runs the examples in the documentation.
    libtest(&["--doc"], &environment, &mut report)?;
    examples(&mut report)?;

    drop(temporary);
    let left = leftovers::since(&before);
    for thing in &left {
        eprintln!("LEFT {thing}");
    }
    report.count(left.is_empty());

    println!();
    for (name, reason) in &report.skips {
        println!("skipped {name}: {reason}");
    }
    if report.ignored > 0 {
        println!("skipped {} tests that are marked #[ignore]", report.ignored);
    }
    println!("{} passed, {} failed, {} skipped", report.passed(), report.failed, report.skipped());
    if report.failed > 0 {
        return Err(Error::Failed("not every test passed".to_owned()));
    }
    let required = std::env::var_os(REQUIRED).is_some_and(|value| !value.is_empty());
    if required && report.lacked() > 0 {
        let lacked = report.lacked();
        return Err(Error::Failed(format!(
            "{lacked} tests found something missing, and {REQUIRED} requires all of them"
        )));
    }
    Ok(())
}

/// Everything but the documentation, with nextest; its own output goes through.
fn nextest(environment: &[(&str, OsString)], report: &mut Report) -> Result<()> {
    // nextest keeps its reports here wherever cargo's target directory is (its `store.dir`).
    let junit = sh::root().join("target/nextest/xtask/junit.xml");
    // That of an earlier run must not be taken for this one's.
    let _ = fs::remove_file(&junit);
    let mut command = sh::cargo();
    command
        .args(["nextest", "run", "--profile", "xtask", "--no-fail-fast"])
        .args(EVERYTHING)
        .args(["--status-level", "fail", "--final-status-level", "fail"])
        // Many tests wait for most of their time.
        .args(["--test-threads", &(2 * sh::processors()).to_string()])
        .envs(environment.iter().cloned());
    let done = sh::run(&mut command);
    let Ok(xml) = fs::read_to_string(&junit) else {
        // It did not come to running tests: they do not compile.
        return done.and(Err(Error::Failed("nextest left no report".to_owned())));
    };
    let failed = report.failed;
    report.add_junit(&xml);
    // The report does not name what was left out by an attribute.
    let mut list = sh::cargo();
    list.args(["nextest", "list", "--profile", "xtask", "--run-ignored", "only"]).args(EVERYTHING);
    report.add_ignored(&sh::json(list.args(["--message-format", "json"]))?);
    // Never green where nextest is red.
    if done.is_err() && report.failed == failed { done } else { Ok(()) }
}

/// `cargo test` for some kinds of targets.
fn libtest(kinds: &[&str], environment: &[(&str, OsString)], report: &mut Report) -> Result<()> {
    let mut command = sh::cargo();
    command
        .args(["test", "--quiet", "--no-fail-fast"])
        .args(EVERYTHING)
        .args(kinds)
        // The output of a test that passed tells if it skipped itself. One at a time, as nextest's group has it for
        // those on real disks (.config/nextest.toml says why).
        .args(["--", "--show-output", "--test-threads=1"])
        .envs(environment.iter().cloned());
    let failed = report.failed;
    let done = follow(&mut command, |line, within_passed| {
        report.add_libtest(line);
        if !within_passed {
            println!("{line}");
        }
    })?;
    if !done && report.failed == failed {
        return Err(Error::Failed(format!("`{}` failed", sh::shown(&command))));
    }
    Ok(())
}

/// Passes each line of the command's stdout to `line`, with whether it is of a test that passed. Returns true on
/// success.
fn follow(command: &mut Command, mut line: impl FnMut(&str, bool)) -> Result<bool> {
    let failed = |source: io::Error| Error::Start { command: "cargo test".to_owned(), source };
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut within_passed = false;
    for text in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')) {
        let text = text.map_err(failed)?;
        let text = String::from_utf8_lossy(&text);
        match text.as_ref() {
            "successes:" => within_passed = true,
            "failures:" => within_passed = false,
            text if text.starts_with("test result: ") => within_passed = false,
            _ => {}
        }
        line(&text, within_passed);
    }
    Ok(child.wait().map_err(failed)?.success())
}

/// Each example must be a template without a mistake.
fn examples(report: &mut Report) -> Result<()> {
    // Built with the tests.
    let program = sh::target()?.join("debug").join("bakehouse");
    let folder = base::examples();
    let entries = fs::read_dir(&folder).map_err(Error::file("list", &folder))?;
    let mut templates: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    templates.sort();
    for template in templates {
        let checked = sh::output(sh::command(&program).arg("validate").arg(&template).current_dir(sh::root()));
        if let Err(error) = &checked {
            println!("FAIL {}: {error}", template.display());
        }
        report.count(checked.is_ok());
    }
    Ok(())
}

/// The tests' own temporary directory.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("bakehouse-test-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(Error::file("make", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed is in use, and then named by the look at what is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}
