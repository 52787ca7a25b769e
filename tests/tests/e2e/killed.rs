//! `kill -9` in every phase, and of the agent alone.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use crate::common::{Fixture, Follow};

/// The phases of a build.
const PHASES: [&str; 9] = [
    "resolving",
    "queued",
    "creating",
    "attaching",
    "provisioning",
    "snapshotting",
    "registering",
    "copying",
    "finishing",
];

/// At how many moments builds are killed.
const STEPS: u32 = 12;

fn template(fixture: &Fixture, lines: &[&str]) -> String {
    let options = json!({ "ami_regions": ["eu-central-1", "ap-southeast-2"] });
    fixture.template("t.json", options, json!([{ "type": "shell", "inline": lines }]))
}

/// Runs a build and kills it when it enters `phase`; returns its id.
fn kill_in(fixture: &Fixture, phase: &str) -> Value {
    let provisioning = phase == "provisioning";
    let lines: &[&str] =
        if provisioning { &["(setsid sleep 300 &)", "echo here", "sleep 300"] } else { &["echo x > /x"] };
    let mut build = Follow::build(fixture, &template(fixture, lines));
    let event = if provisioning { build.until_line("here") } else { build.until_phase(phase) };
    build.signal(Signal::SIGKILL);
    assert_eq!(build.ends().code, None, "in {phase}");
    event["build"].clone()
}

#[test]
fn root_a_sweep_cleans_up_after_a_kill_in_any_phase() {
    let Some(fixture) = Fixture::open("root_a_sweep_cleans_up_after_a_kill_in_any_phase") else { return };
    for phase in PHASES {
        let id = kill_in(&fixture, phase);
        let id = id.as_str().unwrap();
        // The next command sees it, whichever it is.
        for command in [&["ls"][..], &["local", "images"], &["sweep"]] {
            let output = fixture.command([]).args(command).output().unwrap();
            let talk = String::from_utf8(output.stderr).unwrap();
            let data = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "in {phase}: {talk}");
            if command == ["sweep"] {
                assert!(data.contains(id) && talk.contains("sweep --yes"), "in {phase}: {data}{talk}");
            } else {
                assert!(talk.contains(id) && talk.contains("killed"), "in {phase}: {talk}");
            }
        }
        let row = fixture.builds().into_iter().find(|row| row["id"] == id).unwrap();
        assert_eq!(row["left"], true, "in {phase}: {row}");

        fixture.run(["sweep", "--yes"]).exits(0).says(&[id]);
        assert_eq!(fixture.last()["state"], "cancelled", "in {phase}");
        fixture.nothing_left(0);
        fixture.run(["sweep", "--yes"]).exits(0).says(&["nothing was left"]);
    }
}

/// The next build removes what a killed one has left; it must not remove disks that only a lost state file knew of.
#[test]
fn root_no_command_removes_the_disks_of_a_state_that_was_lost() {
    let Some(fixture) = Fixture::open("root_no_command_removes_the_disks_of_a_state_that_was_lost") else { return };
    let next = fixture.shell(&["true"]);
    let disks = || {
        let dirs =
            ["volumes", "snapshots"].map(|dir| std::fs::read_dir(fixture.state().join("cloud").join(dir)).unwrap());
        dirs.into_iter().flatten().map(|entry| entry.unwrap().path()).collect::<std::collections::BTreeSet<_>>()
    };
    let states = ["state.json", "state.json.1"].map(|name| fixture.state().join("cloud").join(name));

    kill_in(&fixture, "provisioning");
    let there = disks();
    assert_eq!(there.len(), 2, "a volume and the base: {there:?}");
    for state in &states {
        std::fs::rename(state, state.with_extension("kept")).unwrap();
    }
    let failed = fixture.build(&next).exits(1);
    assert!(
        failed.stderr.contains("left by a killed run") && failed.stderr.contains("2 disks in "),
        "{}",
        failed.stderr
    );
    fixture.run(["sweep", "--yes"]).exits(0);
    assert_eq!(disks(), there);

    // The state file is back, and knows them.
    for state in &states {
        std::fs::rename(state.with_extension("kept"), state).unwrap();
    }
    fixture.run(["sweep", "--yes"]).exits(0);
    fixture.nothing_left(0);
}

#[test]
fn root_the_next_build_cleans_up_after_a_kill_in_any_phase() {
    let Some(fixture) = Fixture::open("root_the_next_build_cleans_up_after_a_kill_in_any_phase") else { return };
    let next = fixture.template("next.json", json!({ "ami_name": "next-{{uuid}}" }), json!([]));
    for (images, phase) in (1..).zip(PHASES) {
        let id = kill_in(&fixture, phase);
        let run = fixture.build(&next);
        assert_eq!(run.code, Some(0), "in {phase}: {}", run.stderr);
        run.says(&[id.as_str().unwrap()]);
        fixture.nothing_left(images);
    }
}

/// Not at the start of a phase but at any moment; then the sweep is killed, too.
#[test]
fn root_a_sweep_cleans_up_after_a_kill_at_any_moment() {
    let Some(fixture) = Fixture::open("root_a_sweep_cleans_up_after_a_kill_at_any_moment") else { return };
    let template = template(&fixture, &["echo x > /x"]);
    let began = Instant::now();
    fixture.build(&template).exits(0);
    let whole = began.elapsed();
    let mut images = 3;
    for step in 1..=STEPS {
        kill_after(fixture.command(["build", &template, "--local"]), whole * step / STEPS);
        for part in 1..=3 {
            kill_after(fixture.command(["sweep", "--yes"]), Duration::from_millis(u64::from(part * step)));
        }
        fixture.run(["sweep", "--yes"]).exits(0);
        // The last ones may have ended before they were killed.
        let done = fixture.builds().iter().filter(|build| build["state"] == "succeeded").count();
        assert!(done * 3 == images || done * 3 == images + 3, "{done} builds, {images} images");
        images = done * 3;
        fixture.nothing_left(images);
    }
}

/// Kills a command after some time, if it is not over.
fn kill_after(mut command: Command, time: Duration) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What a crash of the machine leaves: the files alone, written by processes of another boot.
#[test]
fn root_a_sweep_cleans_up_after_a_crash_of_the_machine() {
    let Some(fixture) = Fixture::open("root_a_sweep_cleans_up_after_a_crash_of_the_machine") else { return };
    for phase in ["attaching", "provisioning", "snapshotting"] {
        kill_in(&fixture, phase);
        fixture.only_files_stay();
        let state = fixture.state().join("cloud/state.json");
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let text = std::fs::read_to_string(&state).unwrap();
        // Just before the attaching and after the detaching no process is named in it.
        assert!(phase != "provisioning" || text.contains(boot.trim()), "{text}");
        std::fs::write(&state, text.replace(boot.trim(), "00000000-0000-4000-8000-000000000000")).unwrap();

        fixture.run(["sweep", "--yes"]).exits(0);
        assert_eq!(fixture.last()["state"], "cancelled", "in {phase}");
        fixture.nothing_left(0);
    }
    fixture.build(&template(&fixture, &["true"])).exits(0);
    fixture.nothing_left(3);
}

#[test]
fn root_a_kill_while_undoing_loses_nothing() {
    let Some(fixture) = Fixture::open("root_a_kill_while_undoing_loses_nothing") else { return };
    for _ in 0..3 {
        let mut build = Follow::build(&fixture, &template(&fixture, &["exit 1"]));
        build.until_phase("undoing");
        build.signal(Signal::SIGKILL);
        assert_eq!(build.ends().code, None);
        assert_eq!(fixture.last()["left"], true);
        fixture.run(["sweep", "--yes"]).exits(0);
        // It had failed before it was killed, and is still shown as failed.
        assert_eq!(fixture.last()["state"], "failed");
        fixture.nothing_left(0);
    }
}

#[test]
fn root_a_killed_agent_fails_the_build_and_leaves_nothing() {
    let Some(fixture) = Fixture::open("root_a_killed_agent_fails_the_build_and_leaves_nothing") else {
        return;
    };
    let mut build = Follow::build(&fixture, &template(&fixture, &["(setsid sleep 300 &)", "echo here", "sleep 300"]));
    build.until_line("here");
    kill(build.agent(), Signal::SIGKILL).unwrap();
    build.ends().exits(1).says(&["SIGKILL"]);
    fixture.nothing_left(0);
}

#[test]
fn root_a_sweep_leaves_a_running_build_alone() {
    let Some(fixture) = Fixture::open("root_a_sweep_leaves_a_running_build_alone") else { return };
    let lines = ["echo here", "for i in $(seq 100); do test -e /go && exit 0; sleep 0.1; done", "exit 1"];
    let mut build = Follow::build(&fixture, &template(&fixture, &lines[..1]));
    build.until_phase("provisioning");
    build.ends().exits(0);
    // One killed, one running: only the first goes.
    let killed = kill_in(&fixture, "provisioning");
    let mut running = Follow::build(&fixture, &fixture.shell(&["echo here", "sleep 1", "echo done > /done"]));
    running.until_line("here");
    fixture.run(["sweep", "--yes"]).exits(0);
    running.ends().exits(0);
    let rows = fixture.builds();
    let state = |id: &Value| rows.iter().find(|row| row["id"] == *id).unwrap()["state"].clone();
    assert_eq!(state(&killed), "cancelled");
    fixture.nothing_left(4);
}
