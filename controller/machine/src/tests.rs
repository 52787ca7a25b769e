//! Properties of [`decide`](crate::decide) under events in any order, and a few cases worth naming. What whole builds do
//! is shown by the scenarios of the controller crate.

use alloc::{
    borrow::ToOwned,
    boxed::Box,
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use bakehouse_protocol::{
    AgentPhase, BuildId, BuildSpec, DeviceName, Failure, HostId, ImageId, InstanceId, Millis, Outcome, Proof, Region,
    Report, ReportBody, RunData, SnapshotId, Timestamp, VERSION, VolumeId, Zone,
    spec::{Architecture, ImageQuery, Source, Virtualization},
};
use proptest::prelude::*;

use crate::{
    Build, Command, Decision, Event, Fault, FaultKind, JobStage, Output, Phase, Plan, Step, Timing, UndoReason,
    VolumeStage,
    build::{Backoff, InFlight, NewBuild},
    decide,
    event::{ImageFacts, SnapshotFacts, VolumeFacts},
    plan::{RegisterPlan, VolumePlan},
    resources::{Lease, Resource, VolumeRecord},
};

fn region() -> Region {
    Region::new("us-east-1").unwrap()
}

pub(crate) fn build() -> Build {
    let spec = BuildSpec::minimal("web", Source::Image(ImageQuery::default()));
    let new = NewBuild {
        id: BuildId::from_parts(1, 2),
        spec,
        region: region(),
        recipe: "web".into(),
        files: "/".into(),
        bundle: None,
        timing: Timing::AWS,
    };
    Build::new(new, Timestamp(0))
}

pub(crate) fn plan() -> Plan {
    Plan {
        data: RunData::default(),
        volume: VolumePlan { size: 8, snapshot: None, volume_type: None, iops: None, grow: false },
        register: RegisterPlan {
            name: "web".into(),
            architecture: Architecture::X86_64,
            virtualization: Virtualization::Hvm,
            root_device_name: "/dev/sda1".into(),
            mappings: vec![],
            ena_support: true,
            sriov_net_support: None,
            boot_mode: None,
            tpm_support: None,
            imds_support: None,
        },
        description: "".into(),
        tags: BTreeMap::new(),
        copies: vec![Region::new("eu-west-1").unwrap()],
    }
}

fn lease() -> Lease {
    Lease {
        host: HostId::new("bakery").unwrap(),
        instance: InstanceId::new("i-01234567").unwrap(),
        zone: Zone::new("us-east-1a").unwrap(),
        device: DeviceName::new("/dev/sdf").unwrap(),
        until: Timestamp(1_800_000),
    }
}

fn proof() -> Proof {
    Proof { device: "/dev/nvme1n1".into(), filesystem: "ext4".into(), killed: vec![] }
}

fn agent(attempt: u32, body: ReportBody) -> Event {
    let host = HostId::new("bakery").unwrap();
    Event::Agent(Report { version: VERSION, build: BuildId::from_parts(1, 2), host, attempt, at: Timestamp(0), body })
}

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
        Command::CreateSnapshot(_) => Output::Snapshot(SnapshotId::new("snap-01234567").unwrap()),
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

fn failed() -> Outcome {
    let failure = Failure {
        phase: AgentPhase::Provision,
        provisioner: None,
        message: "exit status 1".into(),
        tail: vec![],
        hint: None,
    };
    Outcome::Failed { failure, proof: Some(proof()) }
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
                        if matches!(command, Command::CreateSnapshot(_)) {
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

#[test]
fn a_command_that_nobody_answers_is_given_out_again_and_the_region_is_doubted() {
    let Decision::Advance { next, .. } = decide(&build(), Event::Tick, Timestamp(0)) else { panic!() };
    let given = |build: &Build, at: u64| {
        let Decision::Advance { next, commands, .. } = decide(build, Event::Tick, Timestamp(at)) else { panic!() };
        (next, commands.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let again = Timing::AWS.again.0;
    assert!(given(&next, again - 1).1.is_empty());
    assert_eq!(given(&next, again).1, ["resolve"]);

    // One that makes something only when what it may have made can be seen.
    let mut creating = build();
    creating.plan = Some(plan());
    creating.phase = Phase::Creating;
    creating.resources.lease = Some(lease());
    let (creating, first) = given(&creating, 0);
    let grace = Timing::AWS.grace.0;
    assert!(given(&creating, grace - 1).1.is_empty());
    let (next, second) = given(&creating, grace);
    assert_eq!(first, second);
    assert!(next.resources.regions.iter().all(|regions| regions.in_doubt), "{:?}", next.resources.regions);
}

pub(crate) fn next(build: &Build, event: Event, now: Timestamp) -> (Build, Vec<String>) {
    match decide(build, event, now) {
        Decision::Advance { next, commands, .. } => (next, commands.iter().map(ToString::to_string).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_agent_that_is_not_heard_of_is_told_to_stop_before_its_volume_is_taken() {
    let silence = Timing::AWS.silence;
    let (undoing, commands) = next(&provisioning(), Event::Tick, Timestamp(silence.0));
    assert!(matches!(undoing.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", undoing.phase);
    assert_eq!(commands, ["stop job on bakery"]);
    // It lives: it has all the time it needs to stop.
    let beat = Timestamp(silence.0 + 50_000);
    let (living, _) = next(&undoing, agent(1, ReportBody::Heartbeat), beat);
    let (living, _) = next(&living, Event::Tick, beat + Millis(silence.0 - 1));
    assert!(living.resources.job.may_run());
    // It does not.
    let (dead, commands) = next(&undoing, Event::Tick, Timestamp(silence.0 + 60_000));
    assert!(!dead.resources.job.may_run());
    assert!(commands.iter().any(|command| command.starts_with("detach")), "{commands:?}");
}

#[test]
fn where_nobody_has_listened_for_long_an_agent_is_not_taken_for_dead_at_once() {
    let late = Timestamp(Timing::AWS.silence.0 + 600_000);
    let (waiting, commands) = next(&provisioning(), Event::Tick, late);
    assert!(waiting.phase == Phase::Provisioning && commands.is_empty(), "{commands:?}");
    // What it said meanwhile has waited in the queue.
    let done = agent(1, ReportBody::Ended(Outcome::Done(proof())));
    assert_eq!(next(&waiting, done, late + Millis(100)).0.phase, Phase::Snapshotting);
    // Nothing has.
    let (lost, _) = next(&waiting, Event::Tick, late + Millis::seconds(41));
    assert!(matches!(lost.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", lost.phase);
}

#[test]
fn a_disk_that_does_not_come_is_no_fault_of_the_template() {
    let mut build = provisioning();
    build.phase = Phase::Attaching;
    let failure = Failure {
        phase: AgentPhase::Find,
        provisioner: None,
        message: "the disk did not appear".into(),
        tail: vec![],
        hint: None,
    };
    let outcome = Outcome::Failed { failure: failure.clone(), proof: Some(proof()) };
    let ended = |attempt| agent(attempt, ReportBody::Ended(outcome.clone()));
    let (again, _) = next(&build, ended(1), Timestamp(1));
    assert!(matches!(again.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", again.phase);
    build.attempt = build.timing.attempts;
    let (failed, _) = next(&build, ended(build.attempt), Timestamp(1));
    let Phase::Undoing(UndoReason::Failed(reason)) = &failed.phase else { panic!("{:?}", failed.phase) };
    assert_eq!(reason.failure, Some(failure));
}

#[test]
fn what_ec2_says_is_kept_without_sensitive_values() {
    let mut build = build();
    build.spec.sensitive = vec!["hunter2".into()];
    let (resolving, _) = next(&build, Event::Tick, Timestamp(0));
    let fault = Fault::new(FaultKind::Permanent, "RegisterImage web-hunter2: that name is taken");
    let (failed, _) = next(&resolving, Event::Result { step: Step::Resolve, outcome: Err(fault) }, Timestamp(1));
    let Phase::Failed(reason) = &failed.phase else { panic!("{:?}", failed.phase) };
    assert_eq!(reason.message, "RegisterImage web-<sensitive>: that name is taken");
}

#[test]
fn a_job_whose_sending_is_in_doubt_is_stopped_all_the_same() {
    let mut build = provisioning();
    build.phase = Phase::Attaching;
    build.resources.job = JobStage::None;
    let (sending, commands) = next(&build, Event::Tick, Timestamp(0));
    assert!(commands.contains(&"send job to bakery".to_owned()), "{commands:?}");
    let fault = Fault::new(FaultKind::Ambiguous, "no answer");
    let (mark_uncertain, _) = next(&sending, Event::Result { step: Step::SendJob, outcome: Err(fault) }, Timestamp(1));
    let (undoing, commands) = next(&mark_uncertain, Event::Cancel, Timestamp(2));
    assert!(commands.iter().all(|command| !command.starts_with("detach")), "{commands:?}");
    // It is at work: heard, though nobody knows that it was sent.
    let (working, commands) = next(&undoing, agent(1, ReportBody::Heartbeat), Timestamp(3));
    assert!(working.resources.job.may_run());
    assert!(commands.contains(&"stop job on bakery".to_owned()), "{commands:?}");
}

#[test]
fn a_report_of_another_host_is_refused() {
    let verdict = decide(&build(), agent(1, ReportBody::Heartbeat), Timestamp(0));
    assert!(matches!(verdict, Decision::Reject(_)), "{verdict:?}");
}

/// A build at work on a host, its job running.
fn provisioning() -> Build {
    let mut build = build();
    build.plan = Some(plan());
    build.phase = Phase::Provisioning;
    build.resources.lease = Some(lease());
    build.resources.volume = Some(VolumeRecord {
        id: VolumeId::new("vol-01234567").unwrap(),
        made_at: Timestamp(0),
        stage: VolumeStage::Attached,
    });
    build.resources.job = JobStage::Running { heard: Timestamp(0) };
    build
}

#[test]
fn a_job_that_somebody_else_cancelled_makes_no_image_though_its_volume_is_free() {
    let cancelled = || agent(1, ReportBody::Ended(Outcome::Cancelled { proof: Some(proof()) }));
    let Decision::Advance { next, commands, .. } = decide(&provisioning(), cancelled(), Timestamp(1)) else { panic!() };
    assert!(matches!(next.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", next.phase);
    assert!(commands.iter().all(|command| command.creates_in().is_none()), "{commands:?}");
    // On this machine it is not begun anew.
    let mut local = provisioning();
    local.timing = Timing::LOCAL;
    let Decision::Advance { next, .. } = decide(&local, cancelled(), Timestamp(1)) else { panic!() };
    assert!(matches!(next.phase, Phase::Undoing(UndoReason::Failed(_))), "{:?}", next.phase);
}

#[test]
fn a_word_on_an_earlier_attempt_counts_for_nothing() {
    let mut second = provisioning();
    second.attempt = 2;
    let verdict = decide(&second, agent(1, ReportBody::Ended(Outcome::Done(proof()))), Timestamp(1));
    assert!(matches!(verdict, Decision::Reject(_)), "{verdict:?}");
}

/// `record.json` is there for readers, as a finished build's record is saved.
#[test]
fn the_sample_record_is_a_record() {
    let text = include_str!("../record.json");
    let build: Build = serde_json::from_str(text).unwrap();
    assert!(build.phase.has_ended() && build.resources.images.len() == 2);
    let shown: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&build).unwrap(), shown, "no field is missing, and none is old");
}

/// Records that were saved before fields and steps had their present names can still be read.
#[test]
fn records_with_the_names_of_before_are_read() {
    let mut build: Build = serde_json::from_str(include_str!("../record.json")).unwrap();
    let volume = build.resources.volume.as_ref().unwrap().id.clone();
    let region = build.region.clone();
    build.in_flight = vec![InFlight { command: Command::DescribeVolume(region, volume), since: Timestamp(1) }];
    build.backoffs = vec![Backoff { step: Step::DescribeSnapshot, tries: 1, until: Timestamp(2) }];
    let mut saved = serde_json::to_value(&build).unwrap();
    let rename = |object: &mut serde_json::Value, now: &str, before: &str| {
        let object = object.as_object_mut().unwrap();
        let value = object.remove(now).unwrap();
        object.insert(before.to_owned(), value);
    };
    rename(&mut saved["resources"]["regions"][0], "swept", "verified");
    rename(&mut saved["resources"], "regions", "touched");
    for (now, before) in [("timing", "pace"), ("resources", "made"), ("in_flight", "open"), ("backoffs", "pauses")] {
        rename(&mut saved, now, before);
    }
    let text = serde_json::to_string(&saved).unwrap();
    assert!(text.contains("\"describe_volume\"") && text.contains("\"describe_snapshot\""));
    let text = text.replace("\"describe_", "\"see_");
    assert_eq!(serde_json::from_str::<Build>(&text).unwrap(), build);
}
