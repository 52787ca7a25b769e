//! A build that runs, followed by its `--json` events.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{fixture::Fixture, run::Run};

/// How long a build may go on after it was asked to end.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Follow {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    /// What it said on standard output so far.
    said: String,
}

impl Follow {
    pub(crate) fn build(fixture: &Fixture, template: &str) -> Self {
        let mut command = fixture.command(["build", template, "--local", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, stdout, stderr: Some(stderr), said: String::new() }
    }

    /// Waits for the first event like this.
    #[track_caller]
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                panic!("it ended before that: {}\n{}", self.said, self.stderr.take().unwrap().join().unwrap());
            }
            self.said.push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Waits until the build enters a phase.
    #[track_caller]
    pub(crate) fn until_phase(&mut self, phase: &str) -> Value {
        self.until(|event| event["event"] == "phase" && event["phase"] == phase)
    }

    /// Waits until a provisioner prints this line.
    #[track_caller]
    pub(crate) fn until_line(&mut self, line: &str) -> Value {
        self.until(|event| event["event"] == "output" && event["line"] == line)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Its child: the agent's job.
    pub(crate) fn agent(&self) -> Pid {
        let parent = format!("PPid:\t{}", self.child.id());
        let is_child = |pid: &i32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line == parent)
        };
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children: Vec<i32> = pids.filter(is_child).collect();
        let [agent] = children[..] else { panic!("children: {children:?}") };
        Pid::from_raw(agent)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Run {
        let end = Instant::now() + PATIENCE;
        // Its output is read all the while, or it might wait for us.
        let mut out = String::new();
        self.stdout.read_to_string(&mut out).unwrap();
        self.said.push_str(&out);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Run { code: status.code(), stdout: std::mem::take(&mut self.said), stderr }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        // Of a test that failed; it is our own child, and not yet waited for.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
