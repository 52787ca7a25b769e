//! Scenarios: the real machine and the real driver against EC2's model and a fake agent, in virtual time. Each script
//! in `scripts/` has a golden output beside it; then every script is run again and again with one thing going wrong,
//! until everything that can has gone wrong once (`loops.rs`).
//!
//! A new case is a new file in `scripts/`. `UPDATE_GOLDEN=1 cargo test -p bakehouse-controller --test scenarios` writes
//! the golden files.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod agent;
mod agent_job;
mod checks;
mod cloud;
mod fates;
mod interference;
mod loops;
mod older;
mod parameters;
mod place;
mod rights;
mod run;
mod script;
mod state;

use std::{fs, path::PathBuf};

fn scripts() -> Vec<(String, String)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/scripts");
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("the scripts") {
        let path = entry.expect("a script").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path).expect("a script")));
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn every_script_goes_as_its_golden_file_says() {
    let mut wrong = Vec::new();
    for (name, text) in scripts() {
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/scenarios/scripts/{name}.golden"));
        let run = run::run(&script::parse(&text), interference::Interference::default());
        checks::check(&name, &run);
        assert_eq!(checks::ending(&run), run.script.ends, "{name}: {}", run.log.join("\n"));
        let is = run.log.join("\n") + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &is).expect("writing a golden file");
        }
        let should = fs::read_to_string(&golden).unwrap_or_default();
        if is != should {
            wrong.push(format!("{name}: expected\n{should}\nbut it went\n{is}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
