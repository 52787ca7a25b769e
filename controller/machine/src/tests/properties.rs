//! Properties of [`decide`] under events in any order.

use alloc::{boxed::Box, vec, vec::Vec};
use bakehouse_protocol::{DeviceName, ImageId, Millis, Outcome, ReportBody, SnapshotId, Timestamp, VolumeId};
use proptest::prelude::*;

use super::fixtures::{agent, build, failed, lease, plan, proof};
use crate::{
    Build, Command, Decision, Event, Fault, FaultKind, JobStage, Output, Phase, Step, decide,
    event::{ImageFacts, SnapshotFacts, VolumeFacts},
    resources::{Lease, Resource},
};

/// What performing a command might give when it goes well; `variant` picks among the ways that may go.
fn output(command: &Command, variant: u8) -> Output {
    match command {
        Command::Resolve => Output::Plan(Box::new(plan())),
        Command::Lease { .. } if variant == 0 => Output::Lease(None),
        Command::Lease { avoid, .. } => {
            let letter = char::from(b'f' + u8::try_from(avoid.len()).unwrap() % 20);
            let device = DeviceName::new(alloc::format!("/dev/sd{letter}")).unwrap();
            Output::Lease(Some(Lease { device, ..lease() }))
        }
        Command::RenewLease(lease) => Output::Lease(Some(lease.clone())),
        Command::CreateVolume(_) => Output::Volume(VolumeId::new("vol-01234567").unwrap()),
        Command::DescribeVolume(..) => Output::VolumeSeen(match variant {
            0 => VolumeFacts::Creating,
            1 => VolumeFacts::Attached,
            2 => VolumeFacts::Busy,
            3 => VolumeFacts::Error,
            4 => VolumeFacts::Detaching,
            _ => VolumeFacts::Available,
        }),
        Command::CreateSnapshot { .. } => Output::Snapshot(SnapshotId::new("snap-01234567").unwrap()),
        Command::DescribeSnapshot(..) if variant == 0 => Output::SnapshotSeen(SnapshotFacts::Pending),
        Command::DescribeSnapshot(..) => Output::SnapshotSeen(SnapshotFacts::Completed),
        Command::RegisterImage(_) | Command::CopyImage(_) => Output::Image(ImageId::new("ami-01234567").unwrap()),
        Command::DescribeImage(..) if variant == 0 => Output::ImageSeen(ImageFacts::Pending),
        Command::DescribeImage(..) => {
            Output::ImageSeen(ImageFacts::Available(vec![SnapshotId::new("snap-01234567").unwrap()]))
        }
        Command::Verify(region) if variant == 0 => {
            Output::Tagged(vec![Resource::Volume(region.clone(), VolumeId::new("vol-89abcdef").unwrap())])
        }
        Command::Verify(_) => Output::Tagged(vec![]),
        _ => Output::Done,
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Pass(u64),
    Answer { which: usize, variant: u8 },
    Fault { which: usize, kind: FaultKind },
    Cancel,
    Resume,
    Hint,
    Heartbeat,
    AgentDone,
    AgentFailed,
}

fn happening() -> impl Strategy<Value = Happening> {
    let kind = prop::sample::select(vec![
        FaultKind::Throttled,
        FaultKind::Ambiguous,
        FaultKind::NotReady,
        FaultKind::NotFound,
        FaultKind::Conflict,
        FaultKind::Permanent,
    ]);
    prop_oneof![
        4 => (1u64..60_000).prop_map(Happening::Pass),
        30 => (0usize..4, 0u8..9).prop_map(|(which, variant)| Happening::Answer { which, variant }),
        2 => (0usize..4, kind).prop_map(|(which, kind)| Happening::Fault { which, kind }),
        1 => Just(Happening::Hint),
        3 => Just(Happening::Heartbeat),
        3 => Just(Happening::AgentDone),
        1 => Just(Happening::AgentFailed),
        1 => prop_oneof![Just(Happening::Cancel), Just(Happening::Resume)],
    ]
}

fn event(build: &Build, happening: Happening) -> Event {
    let open =
        |which: usize| build.in_flight.get(which % build.in_flight.len().max(1)).map(|open| open.command.clone());
    match happening {
        Happening::Pass(_) => Event::Tick,
        Happening::Answer { which, variant } => open(which).map_or(Event::Tick, |command| Event::Result {
            step: command.step(),
            outcome: Ok(output(&command, variant)),
        }),
        Happening::Fault { which, kind } => open(which).map_or(Event::Tick, |command| Event::Result {
            step: command.step(),
            outcome: Err(Fault::new(kind, "a fault")),
        }),
        Happening::Cancel => Event::Cancel,
        Happening::Resume => Event::Resume,
        Happening::Hint => Event::Hint,
        Happening::Heartbeat => agent(build.attempt, ReportBody::Heartbeat),
        Happening::AgentDone => agent(build.attempt, ReportBody::Ended(Outcome::Done(proof()))),
        Happening::AgentFailed => agent(build.attempt, ReportBody::Ended(failed())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: no panic, no step open twice, nothing given out that is not on record, always
    /// a next look in the future, a snapshot only with a proof, and an end that stays.
    #[test]
    fn whatever_happens_the_record_makes_sense(happenings in prop::collection::vec(happening(), 1..200)) {
        let mut build = build();
        let mut now = Timestamp(0);
        for happening in happenings {
            if let Happening::Pass(by) = happening {
                now = now + Millis(by);
            }
            let event = event(&build, happening);
            let ended = build.phase.has_ended();
            match decide(&build, event, now) {
                Decision::Advance { next, commands, look_again } => {
                    prop_assert!(!ended, "an ended build moved");
                    let mut steps: Vec<Step> = next.in_flight.iter().map(|open| open.command.step()).collect();
                    let open = steps.len();
                    steps.sort();
                    steps.dedup();
                    prop_assert_eq!(steps.len(), open, "a step is open twice");
                    for command in &commands {
                        let on_record = next.in_flight.iter().any(|open| &open.command == command && open.since == now);
                        prop_assert!(on_record, "{} is not on record", command);
                        if matches!(command, Command::CreateSnapshot { .. }) {
                            let proved = matches!(next.resources.job, JobStage::Ended { proof: Some(_), failure: None });
                            prop_assert!(proved, "a snapshot of what nobody has proved clean");
                        }
                    }
                    prop_assert_eq!(look_again.is_none(), next.phase.has_ended());
                    prop_assert!(look_again.is_none_or(|at| at > now), "it would look again at once, for ever");
                    let text = serde_json::to_string(&next).unwrap();
                    prop_assert_eq!(&serde_json::from_str::<Build>(&text).unwrap(), &next, "lost on its way to the store");
                    build = next;
                }
                Decision::Ignore | Decision::Reject(_) => {}
            }
        }
    }

    /// Left alone with a world in which everything goes well, a build ends, whatever happened before.
    #[test]
    fn it_ends_when_things_go_well_again(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut build = build();
        let mut now = Timestamp(0);
        for happening in happenings {
            if let Decision::Advance { next, .. } = decide(&build, event(&build, happening), now) {
                build = next;
            }
        }
        for _ in 0..2000 {
            if build.phase.has_ended() {
                return Ok(());
            }
            let next = match build.in_flight.first().map(|open| open.command.clone()) {
                Some(command) => {
                    // The world as it should be: what is looked at is as the step before has left it.
                    let attached = matches!(build.phase, Phase::Attaching | Phase::Provisioning);
                    let variant = match &command {
                        Command::DescribeVolume(..) if attached => 1,
                        _ => 8,
                    };
                    let outcome = Ok(output(&command, variant));
                    decide(&build, Event::Result { step: command.step(), outcome }, now)
                }
                None if build.resources.job.may_run() => {
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
