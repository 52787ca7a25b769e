//! Builds and values that the tests start from.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};
use bakehouse_ec2::{request::RegisterImage, resource::Permissions};
use bakehouse_protocol::{
    AgentPhase, BuildId, BuildSpec, DeviceName, Failure, HostId, ImageId, InstanceId, Outcome, Proof, Region, Report,
    ReportBody, RoleArn, RunData, SnapshotId, Timestamp, VERSION, VolumeId, Zone,
    spec::{Architecture, DeregistrationProtection, ImageQuery, Replacement, Source, Virtualization},
};

use crate::{
    AccountRegion, Build, Decision, Event, JobStage, Phase, Plan, Timing, VolumeStage,
    build::NewBuild,
    decide,
    plan::{ParameterPlan, RegionPlan, ReplacedImage, VolumePlan},
    resources::{Lease, OldImage, VolumeRecord},
};

pub(super) fn region() -> Region {
    Region::new("us-east-1").unwrap()
}

pub(super) fn build() -> Build {
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

pub(super) fn plan() -> Plan {
    Plan {
        data: RunData::default(),
        volume: VolumePlan { size: 8, ..VolumePlan::default() },
        register: RegisterImage {
            name: "web".into(),
            architecture: Some(Architecture::X86_64),
            virtualization_type: Some(Virtualization::Hvm),
            root_device_name: Some("/dev/sda1".into()),
            ..RegisterImage::default()
        },
        regions: [region(), Region::new("eu-west-1").unwrap()]
            .map(|region| (region.into(), RegionPlan::default()))
            .into(),
        copies: vec![Region::new("eu-west-1").unwrap().into()],
        intermediate: false,
        replaced: vec![],
        deprecate_at: None,
        parameters: vec![],
    }
}

/// A build with everything that may follow once its images stand.
pub(super) fn managed() -> Build {
    let mut build = build();
    let image = &mut build.spec.image;
    image.attributes.watermarks = vec!["approved".into()];
    image.lifecycle.deregistration_protection = Some(DeregistrationProtection { with_cooldown: false });
    image.replacement = Replacement { force_deregister: true, force_delete_snapshot: true, keep: Some(2) };
    build
}

/// A region of another account.
pub(super) fn other_account() -> AccountRegion {
    AccountRegion { role: Some(RoleArn::new("arn:aws:iam::444455556666:role/images").unwrap()), region: region() }
}

/// Its plan: an image of the name stands in the other region, and another account gets a copy.
pub(super) fn managed_plan() -> Plan {
    let there = Region::new("eu-west-1").unwrap();
    let replaced = ReplacedImage {
        region: there.clone(),
        id: ImageId::new("ami-89abcdef").unwrap(),
        register: RegisterImage::default(),
        launch_permission: Permissions::default(),
        snapshots: vec![SnapshotId::new("snap-89abcdef").unwrap()],
    };
    let parameters = [region(), there].map(|region| ParameterPlan { region, name: "/web".into(), previous: None });
    let mut plan = Plan { replaced: vec![replaced], parameters: parameters.into(), ..plan() };
    plan.copies.push(other_account());
    plan
}

/// The same build while older images are removed.
pub(super) fn retiring() -> Build {
    let mut build = managed();
    build.plan = Some(managed_plan());
    build.phase = Phase::Retiring;
    let (region, id) = (region(), ImageId::new("ami-76543210").unwrap());
    build.resources.old_images = vec![OldImage { region: region.clone(), id, snapshots: vec![] }];
    build.resources.searched = vec![region];
    build
}

pub(super) fn lease() -> Lease {
    Lease {
        host: HostId::new("bakery").unwrap(),
        instance: InstanceId::new("i-01234567").unwrap(),
        zone: Zone::new("us-east-1a").unwrap(),
        device: DeviceName::new("/dev/sdf").unwrap(),
        until: Timestamp(1_800_000),
    }
}

pub(super) fn proof() -> Proof {
    Proof { device: "/dev/nvme1n1".into(), filesystem: "ext4".into(), killed: vec![] }
}

/// A report of the agent.
pub(super) fn agent(attempt: u32, body: ReportBody) -> Event {
    let host = HostId::new("bakery").unwrap();
    Event::Agent(Report { version: VERSION, build: BuildId::from_parts(1, 2), host, attempt, at: Timestamp(0), body })
}

/// The outcome of a job with a provisioner that failed.
pub(super) fn failed() -> Outcome {
    let failure = Failure {
        phase: AgentPhase::Provision,
        provisioner: None,
        message: "exit status 1".into(),
        tail: vec![],
        hint: None,
    };
    Outcome::Failed { failure, proof: Some(proof()) }
}

/// The record after an event, and the commands that are issued.
pub(super) fn next(build: &Build, event: Event, now: Timestamp) -> (Build, Vec<String>) {
    match decide(build, event, now) {
        Decision::Advance { next, commands, .. } => (next, commands.iter().map(ToString::to_string).collect()),
        other => panic!("{other:?}"),
    }
}

/// A build whose job is running.
pub(super) fn provisioning() -> Build {
    let mut build = build();
    build.plan = Some(plan());
    build.phase = Phase::Provisioning;
    build.resources.lease = Some(lease());
    build.resources.volume = Some(VolumeRecord {
        id: VolumeId::new("vol-01234567").unwrap(),
        created_at: Timestamp(0),
        stage: VolumeStage::Attached,
    });
    build.resources.job = JobStage::Running { last_report: Timestamp(0) };
    build
}
