//! Properties of [`decide`] under events in any order.

use alloc::{boxed::Box, vec, vec::Vec};
use bakehouse_protocol::{DeviceName, ImageId, Millis, Outcome, ReportBody, SnapshotId, Timestamp, VolumeId};
use proptest::prelude::*;

use super::fixtures::{agent, failed, lease, managed, managed_plan, proof};
use crate::{
    Build, Command, CommandKey, Decision, Event, Fault, FaultKind, JobStage, Output, Phase, decide,
    event::{ImageStatus, SnapshotStatus, VolumeStatus},
    resources::{Lease, OldImage, Resource},
};

/// An output of the command when it succeeds; `variant` selects one where there are several.
fn output(command: &Command, variant: u8) -> Output {
    match command {
        Command::Resolve => Output::Plan(Box::new(managed_plan())),
        Command::Lease { .. } if variant == 0 => Output::Lease(None),
        Command::Lease { avoid, .. } => {
            let letter = char::from(b'f' + u8::try_from(avoid.len()).unwrap() % 20);
            let device = DeviceName::new(alloc::format!("/dev/sd{letter}")).unwrap();
            Output::Lease(Some(Lease { device, ..lease() }))
        }
        Command::RenewLease(lease) => Output::Lease(Some(lease.clone())),
        Command::CreateVolume(_) => Output::VolumeCreated(VolumeId::new("vol-01234567").unwrap()),
        Command::DescribeVolume(..) => Output::VolumeDescribed(match variant {
            0 => VolumeStatus::Creating,
            1 => VolumeStatus::Attached,
            2 => VolumeStatus::Busy,
            3 => VolumeStatus::Error,
            4 => VolumeStatus::Detaching,
            _ => VolumeStatus::Available,
        }),
        Command::CreateSnapshot { .. } => Output::SnapshotCreated(SnapshotId::new("snap-01234567").unwrap()),
        Command::DescribeSnapshot(..) if variant == 0 => Output::SnapshotDescribed(SnapshotStatus::Pending),
        Command::DescribeSnapshot(..) => Output::SnapshotDescribed(SnapshotStatus::Completed),
        Command::RestoreReplaced(_) => Output::Restored((variant == 0).then(|| ImageId::new("ami-89abcdef").unwrap())),
        Command::FindOldImages { region, .. } => {
            let (region, id) = (region.clone(), ImageId::new("ami-76543210").unwrap());
            Output::OldImages(vec![OldImage { region, id, snapshots: vec![] }])
        }
        Command::RegisterImage(_) | Command::CopyImage(_) | Command::RegisterFinal(_) => {
            Output::ImageCreated(ImageId::new("ami-01234567").unwrap())
        }
        Command::DescribeImage(..) if variant == 0 => Output::ImageDescribed(ImageStatus::Pending),
        Command::DescribeImage(..) => {
            Output::ImageDescribed(ImageStatus::Available(vec![SnapshotId::new("snap-01234567").unwrap()]))
        }
        Command::FindTagged(region) if variant == 0 => {
            Output::Tagged(vec![Resource::Volume(region.clone(), VolumeId::new("vol-89abcdef").unwrap())])
        }
        Command::FindTagged(_) => Output::Tagged(vec![]),
        _ => Output::Done,
    }
}

#[derive(Clone, Debug)]
enum Input {
    TimePasses(u64),
    Success { which: usize, variant: u8 },
    Fault { which: usize, kind: FaultKind },
    Cancel,
    Resume,
    CheckNow,
    Heartbeat,
    AgentDone,
    AgentFailed,
}

fn input() -> impl Strategy<Value = Input> {
    let kind = prop::sample::select(vec![
        FaultKind::Throttled,
        FaultKind::Ambiguous,
        FaultKind::NotReady,
        FaultKind::NotFound,
        FaultKind::Conflict,
        FaultKind::Permanent,
    ]);
    prop_oneof![
        4 => (1u64..60_000).prop_map(Input::TimePasses),
        30 => (0usize..4, 0u8..9).prop_map(|(which, variant)| Input::Success { which, variant }),
        2 => (0usize..4, kind).prop_map(|(which, kind)| Input::Fault { which, kind }),
        1 => Just(Input::CheckNow),
        3 => Just(Input::Heartbeat),
        3 => Just(Input::AgentDone),
        1 => Just(Input::AgentFailed),
        1 => prop_oneof![Just(Input::Cancel), Just(Input::Resume)],
    ]
}

fn event(build: &Build, input: Input) -> Event {
    let in_flight =
        |which: usize| build.in_flight.get(which % build.in_flight.len().max(1)).map(|entry| entry.command.clone());
    match input {
        Input::TimePasses(_) => Event::Tick,
        Input::Success { which, variant } => in_flight(which).map_or(Event::Tick, |command| Event::Result {
            key: command.key(),
            outcome: Ok(output(&command, variant)),
        }),
        Input::Fault { which, kind } => in_flight(which).map_or(Event::Tick, |command| Event::Result {
            key: command.key(),
            outcome: Err(Fault::new(kind, "a fault")),
        }),
        Input::Cancel => Event::Cancel,
        Input::Resume => Event::Resume,
        Input::CheckNow => Event::CheckNow,
        Input::Heartbeat => agent(build.attempt, ReportBody::Heartbeat),
        Input::AgentDone => agent(build.attempt, ReportBody::Ended(Outcome::Done(proof()))),
        Input::AgentFailed => agent(build.attempt, ReportBody::Ended(failed())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: no panic, no two commands in flight with the same key, every issued command
    /// is in the record, the next tick is in the future, no snapshot without a proof, and a build that has ended stays
    /// so.
    #[test]
    fn any_order_of_events_keeps_the_record_consistent(inputs in prop::collection::vec(input(), 1..200)) {
        let mut build = managed();
        let mut now = Timestamp(0);
        for input in inputs {
            if let Input::TimePasses(by) = input {
                now = now + Millis(by);
            }
            let event = event(&build, input);
            let ended = build.phase.has_ended();
            match decide(&build, event, now) {
                Decision::Advance { next, commands, next_tick } => {
                    prop_assert!(!ended, "a build that had ended changed");
                    let mut keys: Vec<CommandKey> = next.in_flight.iter().map(|entry| entry.command.key()).collect();
                    let count = keys.len();
                    keys.sort();
                    keys.dedup();
                    prop_assert_eq!(keys.len(), count, "two commands in flight have the same key");
                    for command in &commands {
                        let in_flight = next.in_flight.iter().any(|entry| &entry.command == command && entry.since == now);
                        prop_assert!(in_flight, "{} is not in flight", command);
                        if matches!(command, Command::CreateSnapshot { .. }) {
                            let proved = matches!(next.resources.job, JobStage::Ended { proof: Some(_), failure: None });
                            prop_assert!(proved, "a snapshot of a volume without a proof");
                        }
                    }
                    prop_assert_eq!(next_tick.is_none(), next.phase.has_ended());
                    prop_assert!(next_tick.is_none_or(|at| at > now), "the next tick is due at once, forever");
                    let text = serde_json::to_string(&next).unwrap();
                    prop_assert_eq!(&serde_json::from_str::<Build>(&text).unwrap(), &next, "changed when it was saved and loaded");
                    build = next;
                }
                Decision::Ignore | Decision::Reject(_) => {}
            }
        }
    }

    /// Whatever happened before: once every command succeeds, the build ends.
    #[test]
    fn a_build_ends_once_every_command_succeeds(inputs in prop::collection::vec(input(), 1..60)) {
        let mut build = managed();
        let mut now = Timestamp(0);
        for input in inputs {
            if let Decision::Advance { next, .. } = decide(&build, event(&build, input), now) {
                build = next;
            }
        }
        for _ in 0..2000 {
            if build.phase.has_ended() {
                return Ok(());
            }
            let next = match build.in_flight.first().map(|entry| entry.command.clone()) {
                Some(command) => {
                    // A resource is described as the command before has left it.
                    let attached = matches!(build.phase, Phase::Attaching | Phase::Provisioning);
                    let variant = match &command {
                        Command::DescribeVolume(..) if attached => 1,
                        _ => 8,
                    };
                    let outcome = Ok(output(&command, variant));
                    decide(&build, Event::Result { key: command.key(), outcome }, now)
                }
                None if build.resources.job.may_be_running() => {
                    decide(&build, agent(build.attempt, ReportBody::Ended(Outcome::Done(proof()))), now)
                }
                None => {
                    now = now + Millis::seconds(30);
                    decide(&build, Event::Tick, now)
                }
            };
            if let Decision::Advance { next, .. } = next {
                build = next;
            }
        }
        prop_assert!(false, "still in {:?} with {:?}", build.phase, build.in_flight);
    }
}
