//! What `packer validate` of Packer 1.6.6, as Debian has it, and `bakehouse validate` say of the same templates: those
//! of `tests/templates`, and small ones about each option, block and rule that 1.6.6 knows. Both accept or both refuse,
//! or the difference stands in the list with its reason; and what is in the list must differ.

mod cases;
mod differences;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{common::program::bakehouse, packer::program};
use cases::{Case, cases};
use differences::{Accepts, DIFFERENCES};

/// How many run at once.
const THREADS: usize = 4;

/// What both programs find in their environment. Nothing answers at these addresses.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("CHECKPOINT_DISABLE", "1"),
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "key"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("VAULT_ADDR", "http://127.0.0.1:1"),
    ("CONSUL_HTTP_ADDR", "127.0.0.1:1"),
    ("CASE_SET", "set"),
    ("PKR_VAR_from_environment", "12"),
    ("PKR_VAR_of_no_number", "many"),
    // Packer takes half as long without the process that watches for its panics, and without garbage collection.
    ("PACKER_WRAP_COOKIE", "49C22B1A-3A93-4C98-97FA-E07D18C787B5"),
    ("GOGC", "off"),
];

/// Runs `validate`; returns whether it accepts the template, and what it says.
fn validate(program: &Path, case: &Case, home: &Path) -> (bool, String) {
    let mut command = Command::new(program);
    command
        .arg("validate")
        .args(&case.arguments)
        .current_dir(&case.directory)
        .env_clear()
        .envs(ENVIRONMENT)
        .envs(["HOME", "TMPDIR", "PACKER_CACHE_DIR", "BAKEHOUSE_STATE"].map(|name| (name, home)))
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    // Without that process, Packer's log is in its output: lines that begin with a date.
    let said: Vec<&str> = said.lines().filter(|line| !line.starts_with("20")).collect();
    (output.status.success(), said.join("\n"))
}

/// What both said of a case.
struct Verdicts<'a> {
    case: &'a Case,
    packer: (bool, String),
    bakehouse: (bool, String),
}

impl Verdicts<'_> {
    /// Returns who alone accepts it.
    fn difference(&self) -> Option<Accepts> {
        match (self.packer.0, self.bakehouse.0) {
            (true, false) => Some(Accepts::Packer),
            (false, true) => Some(Accepts::Bakehouse),
            _ => None,
        }
    }
}

fn run_all<'a>(cases: &'a [Case], packer: &Path, home: &Path) -> Vec<Verdicts<'a>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (packer, bakehouse) = (validate(packer, case, home), validate(bakehouse(), case, home));
            let is_verdict = bakehouse.0 || bakehouse.1.contains("error: ");
            assert!(is_verdict, "{}: {}", case.name, bakehouse.1);
            done.push(Verdicts { case, packer, bakehouse });
        }
        done
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn packer_and_bakehouse_accept_the_same_templates_or_it_is_listed() {
    let Some(program) = program("packer_and_bakehouse_accept_the_same_templates_or_it_is_listed") else { return };
    let (dir, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cases = cases(dir.path());
    let verdicts = run_all(&cases, &program, home.path());

    let mut listed: BTreeMap<&str, (Accepts, bool)> = BTreeMap::new();
    for (accepts, _, names) in DIFFERENCES {
        for name in *names {
            assert!(listed.insert(name, (*accepts, false)).is_none(), "{name} is listed twice");
        }
    }
    let mut wrong = Vec::new();
    for verdicts in &verdicts {
        let Verdicts { case, packer, bakehouse } = verdicts;
        let in_language = format!("{} ({})", case.name, case.language);
        let name = if listed.contains_key(in_language.as_str()) { &in_language } else { &case.name };
        let expected = listed.get_mut(name.as_str()).map(|(accepts, is_used)| {
            *is_used = true;
            *accepts
        });
        let found = verdicts.difference();
        if found != expected {
            let said = [packer, bakehouse].map(|(accepted, said)| if *accepted { "accepts it" } else { said.trim() });
            wrong.push(format!(
                "{in_language}: listed {expected:?}, found {found:?}\nPacker: {}\nBakehouse: {}\n",
                said[0], said[1]
            ));
        } else if found.is_none() && case.should.is_some_and(|should| should != packer.0) {
            wrong.push(format!("{in_language}: the table says otherwise than both programs\n"));
        }
    }
    wrong.extend(listed.iter().filter(|(_, it)| !it.1).map(|(name, _)| format!("{name} is listed, but no case\n")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} templates, {} differences", cases.len(), verdicts.iter().filter_map(Verdicts::difference).count());
}
