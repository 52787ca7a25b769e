//! What can go wrong with messages, functions and calls, goes wrong: the build ends all the same, and nothing is made
//! twice (`World::check`).

use std::sync::Arc;

use bakehouse_lambda::metrics::Metric;
use bakehouse_machine::Phase;
use bakehouse_protocol::{BuildId, InboxMessage, Millis};

use crate::{
    state::State,
    world::{START, World},
};

/// One build in a world that has been made bad.
fn one(seed: u64, functions: usize, bad: impl FnOnce(&mut State)) -> (Arc<World>, BuildId) {
    let world = World::new(seed);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    bad(&mut world.state());
    let id = world.request(1, &bundle);
    world.work(functions);
    world.check();
    (world, id)
}

fn succeeds(told: &str, (world, id): &(Arc<World>, BuildId)) {
    let build = world.build(id);
    assert_eq!(build.phase, Phase::Succeeded, "{told}: {:?} attempt {}", build.history, build.attempt);
    let state = world.state();
    assert!(state.dead.is_empty(), "{told}: dead letters: {:?}", state.dead);
    assert_eq!(build.attempt, 1, "{told}: {:?}", build.history);
}

/// Between the end of one call and the beginning of the next nothing happens that anybody could see.
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

// Two halves, beside each other.
#[test]
fn the_function_may_die_after_every_call_of_even_number() {
    dies_after_every_second_call(0);
}

#[test]
fn the_function_may_die_after_every_call_of_odd_number() {
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
            let (world, id) = one(seed, 3, |state| state.conflicts = Some((percent, START + Millis::minutes(10))));
            // The agent's words can't be recorded in time now and then: the build may have begun anew.
            assert_eq!(
                world.phase(&id),
                Phase::Succeeded,
                "{percent} of 100, seed {seed}: {:?}",
                world.build(&id).history
            );
            assert!(world.state().dead.is_empty());
        }
    }
}

#[test]
fn a_build_that_makes_the_function_panic_takes_no_other_with_it() {
    let world = World::new(7);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let (bad, good) = (world.request(1, &bundle), world.request(2, &bundle));
    world.state().panics = Some(bad.clone());
    world.work_with(1, async {
        // Long enough for the other to end.
        world.time.sleep(Millis::minutes(8)).await;
        assert_eq!(world.phase(&good), Phase::Succeeded);
        assert_eq!(world.phase(&bad), Phase::Accepted);
        // What was at fault is mended: the patrol finds what has been left.
        world.state().panics = None;
    });
    world.check();
    assert_eq!(world.phase(&bad), Phase::Succeeded);
}

#[test]
fn a_call_that_hangs_costs_its_own_build_an_invocation_and_nothing_else() {
    let world = World::new(8);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let (bad, good) = (world.request(1, &bundle), world.request(2, &bundle));
    world.state().hangs = Some(bad.clone());
    world.work_with(1, async {
        world.time.sleep(Millis::seconds(70)).await;
        world.state().hangs = None;
    });
    world.check();
    assert_eq!((world.phase(&bad), world.phase(&good)), (Phase::Succeeded, Phase::Succeeded));
}

#[test]
fn a_tick_that_is_lost_is_found_by_the_patrol() {
    let world = World::new(9);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    world.work_with(1, async {
        for _ in 0..300 {
            world.time.sleep(Millis::seconds(1)).await;
            world
                .state()
                .inbox
                .retain(|message| !message.body.contains("\"tick\"") && !message.body.contains("aws.ec2"));
        }
    });
    world.check();
    assert_eq!(world.phase(&id), Phase::Succeeded);
}

#[test]
fn what_can_never_be_understood_goes_to_the_dead_letters_and_nowhere_else() {
    let world = World::new(10);
    world.add_host(1);
    for body in
        ["hello?", "{}", r#"{"bakehouse":7,"kind":"tick","build":"b-1"}"#, r#"{"detail-type":"Something Else"}"#]
    {
        world.send_text(body.into());
    }
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    world.work_with(2, async { world.time.sleep(Millis::minutes(15)).await });
    world.check();
    assert_eq!(world.phase(&id), Phase::Succeeded);
    let state = world.state();
    assert_eq!(state.dead.len(), 4, "{:?}", state.dead);
    drop(state);
    // Once each time it was received.
    assert_eq!(world.measured(Metric::MessagesNotUnderstood), 20.0);
}

#[test]
fn a_word_that_makes_no_sense_is_refused_and_counted() {
    let world = World::new(11);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    let stranger =
        format!(r#"{{"version":1,"build":"{id}","host":"i-0000000000000000f","attempt":1,"at":0,"body":"heartbeat"}}"#);
    world.work_with(1, async {
        world.time.sleep(Millis::seconds(20)).await;
        world.send(InboxMessage::Report { report: serde_json::from_str(&stranger).expect("a report") });
    });
    world.check();
    assert_eq!(world.phase(&id), Phase::Succeeded);
    assert_eq!(world.measured(Metric::MessagesRefused), 1.0);
}
