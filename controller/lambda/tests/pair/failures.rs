//! Faults of messages, functions and calls: the build ends all the same, and nothing is created twice
//! (`Simulation::check`).

use std::sync::Arc;

use bakehouse_lambda::metrics::Metric;
use bakehouse_machine::Phase;
use bakehouse_protocol::{BuildId, InboxMessage, Millis};

use crate::{
    simulation::{START, Simulation},
    state::State,
};

/// Runs one build in a simulation with faults.
fn one(seed: u64, functions: usize, inject: impl FnOnce(&mut State)) -> (Arc<Simulation>, BuildId) {
    let simulation = Simulation::new(seed);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    inject(&mut simulation.state());
    let id = simulation.request(1, &bundle);
    simulation.work(functions);
    simulation.check();
    (simulation, id)
}

fn succeeds(case: &str, (simulation, id): &(Arc<Simulation>, BuildId)) {
    let build = simulation.build(id);
    assert_eq!(build.phase, Phase::Succeeded, "{case}: {:?} attempt {}", build.history, build.attempt);
    let state = simulation.state();
    assert!(state.dead.is_empty(), "{case}: dead letters: {:?}", state.dead);
    assert_eq!(build.attempt, 1, "{case}: {:?}", build.history);
}

/// Between the end of one call and the beginning of the next nothing happens that can be observed.
fn dies_after_every_second_call(first: usize) {
    let (baseline, _) = one(1, 1, |_| ());
    let operations = baseline.state().operations;
    assert!(operations > 100, "{operations}");
    for n in (first..operations).step_by(2) {
        let run = one(1, 1, |state| state.kill = Some(n));
        succeeds(&format!("death after call {n}"), &run);
        assert!(run.0.state().kill.is_none(), "it did not die");
    }
}

// Two halves, which run in parallel.
#[test]
fn the_function_may_die_after_every_even_call() {
    dies_after_every_second_call(0);
}

#[test]
fn the_function_may_die_after_every_odd_call() {
    dies_after_every_second_call(1);
}

#[test]
fn the_function_may_die_while_another_works_on_the_same_build() {
    for n in (0..250).step_by(7) {
        let run = one(n, 3, |state| {
            state.kill = Some(usize::try_from(n).expect("small"));
            state.twice = true;
        });
        succeeds(&format!("seed {n}"), &run);
    }
}

#[test]
fn messages_may_come_twice_late_and_in_any_order() {
    for seed in 0..20 {
        let run = one(seed, 3, |state| {
            state.twice = true;
            state.late = Millis::seconds(30);
        });
        succeeds(&format!("seed {seed}"), &run);
    }
}

#[test]
fn every_call_may_be_throttled_for_minutes() {
    for seed in 0..10 {
        for percent in [50, 95] {
            let run = one(seed, 2, |state| state.throttles = Some((percent, START + Millis::minutes(10))));
            succeeds(&format!("{percent} of 100 calls, seed {seed}"), &run);
        }
    }
}

#[test]
fn the_table_may_refuse_most_saves_for_minutes() {
    for seed in 0..10 {
        for percent in [50, 90] {
            let (simulation, id) = one(seed, 3, |state| state.conflicts = Some((percent, START + Millis::minutes(10))));
            // Some reports of the agent can't be recorded in time: the build may have been restarted.
            assert_eq!(
                simulation.phase(&id),
                Phase::Succeeded,
                "{percent} of 100, seed {seed}: {:?}",
                simulation.build(&id).history
            );
            assert!(simulation.state().dead.is_empty());
        }
    }
}

#[test]
fn a_build_that_panics_does_not_affect_the_others() {
    let simulation = Simulation::new(7);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let (bad, good) = (simulation.request(1, &bundle), simulation.request(2, &bundle));
    simulation.state().panics = Some(bad.clone());
    simulation.work_with(1, async {
        // Long enough for the other to end.
        simulation.time.sleep(Millis::minutes(8)).await;
        assert_eq!(simulation.phase(&good), Phase::Succeeded);
        assert_eq!(simulation.phase(&bad), Phase::Accepted);
        // Once the fault is gone the patrol finds the build.
        simulation.state().panics = None;
    });
    simulation.check();
    assert_eq!(simulation.phase(&bad), Phase::Succeeded);
}

#[test]
fn a_call_that_hangs_delays_only_its_own_build() {
    let simulation = Simulation::new(8);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let (bad, good) = (simulation.request(1, &bundle), simulation.request(2, &bundle));
    simulation.state().hangs = Some(bad.clone());
    simulation.work_with(1, async {
        simulation.time.sleep(Millis::seconds(70)).await;
        simulation.state().hangs = None;
    });
    simulation.check();
    assert_eq!((simulation.phase(&bad), simulation.phase(&good)), (Phase::Succeeded, Phase::Succeeded));
}

#[test]
fn the_patrol_replaces_a_lost_tick() {
    let simulation = Simulation::new(9);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    simulation.work_with(1, async {
        for _ in 0..300 {
            simulation.time.sleep(Millis::seconds(1)).await;
            simulation
                .state()
                .inbox
                .retain(|message| !message.body.contains("\"tick\"") && !message.body.contains("aws.ec2"));
        }
    });
    simulation.check();
    assert_eq!(simulation.phase(&id), Phase::Succeeded);
}

#[test]
fn an_invalid_message_goes_to_the_dead_letter_queue() {
    let simulation = Simulation::new(10);
    simulation.add_host(1);
    for body in
        ["hello?", "{}", r#"{"bakehouse":7,"kind":"tick","build":"b-1"}"#, r#"{"detail-type":"Something Else"}"#]
    {
        simulation.send_text(body.into());
    }
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    simulation.work_with(2, async { simulation.time.sleep(Millis::minutes(15)).await });
    simulation.check();
    assert_eq!(simulation.phase(&id), Phase::Succeeded);
    let state = simulation.state();
    assert_eq!(state.dead.len(), 4, "{:?}", state.dead);
    drop(state);
    // Once each time it was received.
    assert_eq!(simulation.measured(Metric::MessagesNotUnderstood), 20.0);
}

#[test]
fn a_report_that_makes_no_sense_is_refused_and_counted() {
    let simulation = Simulation::new(11);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    let stranger =
        format!(r#"{{"version":1,"build":"{id}","host":"i-0000000000000000f","attempt":1,"at":0,"body":"heartbeat"}}"#);
    simulation.work_with(1, async {
        simulation.time.sleep(Millis::seconds(20)).await;
        simulation.send(InboxMessage::Report { report: serde_json::from_str(&stranger).expect("a report") });
    });
    simulation.check();
    assert_eq!(simulation.phase(&id), Phase::Succeeded);
    assert_eq!(simulation.measured(Metric::MessagesRefused), 1.0);
}
