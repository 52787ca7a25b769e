//! A build that is cancelled, by a signal or by another process.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::common::{Fixture, Follow};

/// The phases of a build without provisioners, except the last: after that there is nothing to cancel.
const PHASES: [&str; 6] = ["creating", "attaching", "provisioning", "snapshotting", "registering", "copying"];

/// Starts a build and waits until its provisioner runs.
fn provisioning(fixture: &Fixture, lines: &[&str]) -> Follow {
    let mut build = Follow::build(fixture, &fixture.shell(lines));
    build.until_line("here");
    build
}

const SLEEPS: [&str; 2] = ["echo here", "sleep 300"];

#[test]
fn root_a_signal_cancels_a_build() {
    let Some(fixture) = Fixture::open("root_a_signal_cancels_a_build") else { return };
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let build = provisioning(&fixture, &SLEEPS);
        build.signal(signal);
        build.ends().exits(130).says(&["nothing of it is left"]);
        assert_eq!(fixture.last()["state"], "cancelled");
        fixture.nothing_left(0);
    }
}

#[test]
fn root_a_second_signal_leaves_nothing_behind() {
    let Some(fixture) = Fixture::open("root_a_second_signal_leaves_nothing_behind") else { return };
    let mut build = provisioning(&fixture, &["trap '' TERM INT HUP", "echo here", "while :; do sleep 1; done"]);
    // A stopped agent delays the end of the undoing until the second signal has come.
    let agent = build.agent();
    kill(agent, Signal::SIGSTOP).unwrap();
    build.signal(Signal::SIGINT);
    build.until_phase("undoing");
    build.signal(Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    kill(agent, Signal::SIGCONT).unwrap();
    build.ends().exits(130).says(&["Ctrl-C again", "still to be undone"]);
    fixture.nothing_left(0);
}

#[test]
fn root_a_signal_cancels_in_each_phase() {
    let Some(fixture) = Fixture::open("root_a_signal_cancels_in_each_phase") else { return };
    for phase in PHASES {
        let options = serde_json::json!({ "ami_regions": ["eu-central-1"] });
        let mut build = Follow::build(&fixture, &fixture.template("t.json", options, serde_json::json!([])));
        build.until_phase(phase);
        build.signal(Signal::SIGINT);
        let run = build.ends();
        assert_eq!(run.code, Some(130), "in {phase}: {}", run.stderr);
        fixture.nothing_left(0);
    }
}

#[test]
fn root_another_process_cancels_a_build() {
    let Some(fixture) = Fixture::open("root_another_process_cancels_a_build") else { return };
    let mut build = Follow::build(&fixture, &fixture.shell(&SLEEPS));
    let id = build.until_line("here")["build"].as_str().unwrap().to_owned();
    let running = fixture.builds();
    assert_eq!((&running[0]["state"], &running[0]["left"]), (&"provisioning".into(), &false.into()));
    // While it runs, a sweep has nothing to do with it.
    assert_eq!(fixture.run(["sweep"]).exits(0).stdout, "");
    fixture.run(["sweep", "--yes"]).exits(0);

    fixture.run(["cancel", &id]).exits(0).says(&[&id, "cancelled"]);
    build.ends().exits(130);
    fixture.nothing_left(0);
    // A cancelled build stays cancelled; one that does not exist can't be cancelled.
    fixture.run(["cancel", &id]).exits(0);
    fixture.run(["cancel", "b-00000000-00000000"]).exits(2);
}
