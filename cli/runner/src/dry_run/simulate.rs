//! Drives a build to its end on the model.

use bakehouse_controller::{
    cloud::Cloud,
    drive::{Observer, handle},
    ports::StoreError,
};
use bakehouse_ec2::ApiError;
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_machine::{Build, Event, Phase, Plan, build::FailureReason, phase::PhaseName, resources::Lease};
use bakehouse_protocol::{DeviceName, HostId, InstanceId, Millis, SnapshotId, Timestamp, Zone};

use super::{
    parameters::MemoryParameters,
    place::{Place, State},
    recorder::{PlannedCall, Recorder},
};

/// The account of the model.
const ACCOUNT: &str = "000000000000";
/// The account of snapshots that were there before.
const VENDOR: &str = "999999999999";
/// How many events a build may need.
const MAX_EVENTS: usize = 20_000;

/// What a build would do.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// What it would make.
    pub plan: Plan,
    /// The calls that change something, oldest first.
    pub calls: Vec<PlannedCall>,
    /// When each phase would begin, by the model's times, the steps of the template not counted.
    pub phases: Vec<(PhaseName, Timestamp)>,
}

/// Why a dry run has no result.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// The build would fail.
    #[error("the build would fail in the phase {}: {}", .0.phase, .0.message)]
    Failed(Box<FailureReason>),
    /// The model could not be set up.
    #[error("setting up the model: {0}")]
    Model(#[from] ApiError),
    /// The record could not be kept.
    #[error("keeping the record of the dry run")]
    Store(#[from] StoreError),
    /// A name of the model is invalid.
    #[error("setting up the model: {0} is not a name")]
    Name(&'static str),
    /// The build does not come to an end.
    #[error("the dry run does not come to an end")]
    Endless,
}

/// Tells the recorder which phase the build is in.
struct PhaseObserver<'a>(&'a Recorder);

impl Observer for PhaseObserver<'_> {
    fn saved(&mut self, _: &Build, after: &Build) {
        self.0.set_phase(after.phase.name());
    }
    fn rejected(&mut self, _: &Event, _: &str) {}
}

/// Drives a build that has this plan to its end.
///
/// # Errors
/// [`DryRunError::Failed`] if EC2's model refuses a call for good; the others are faults of the dry run itself.
pub fn dry_run(mut build: Build, mut plan: Plan) -> Result<DryRun, DryRunError> {
    let now = build.accepted_at;
    let resolved = plan.clone();
    let home = build.region.clone();
    let instance = InstanceId::new("i-00000000000000000").map_err(|_| DryRunError::Name("the instance"))?;
    let zone = Zone::new(format!("{home}a")).map_err(|_| DryRunError::Name("the zone"))?;
    let architecture = plan.register.architecture.unwrap_or(build.spec.image.architecture);
    let regions = std::iter::once(home.clone()).chain(plan.copies.iter().map(|copy| copy.region.clone()));
    let mut model = Model::new(ACCOUNT, regions, 1, Delays::like_ec2());
    model.add_instance(&home, instance.clone(), zone.clone(), architecture)?;
    // Long ago: nothing of it is hidden by EC2's eventual consistency.
    let before = Timestamp(now.0.saturating_sub(Millis::minutes(60).0));
    let mut labels = vec![(instance.to_string(), "(the host)".to_owned()), (zone.to_string(), "(its zone)".to_owned())];
    let mut adopt = |id: &mut SnapshotId, size: u32| -> Result<(), DryRunError> {
        let mut import = Import::new(format!("snapshot {id}"), size, architecture);
        import.owner_alias = Some("amazon".to_owned());
        // Public: every account that copies the image may read it, as was checked when the plan was made.
        import.owner = Some(VENDOR.to_owned());
        let image = model.import_image(before, &home, &import)?;
        if let Some(own) = image.root_snapshot() {
            labels.push((own.to_string(), id.to_string()));
            *id = own.clone();
        }
        Ok(())
    };
    if let Some(snapshot) = &mut plan.volume.snapshot {
        adopt(snapshot, plan.volume.size)?;
    }
    for ebs in plan.register.block_device_mappings.iter_mut().filter_map(|mapping| mapping.ebs.as_mut()) {
        if let Some(snapshot) = &mut ebs.snapshot_id {
            adopt(snapshot, ebs.volume_size.unwrap_or(1))?;
        }
    }
    build.plan = Some(plan);
    build.phase = Phase::Queued;
    build.history.push((PhaseName::Queued, now));
    let recorder = Recorder::new(VirtualCloud::new(model, now));
    for (id, label) in labels {
        recorder.label(id, label);
    }
    let lease = Lease {
        host: HostId::new("host").map_err(|_| DryRunError::Name("the host"))?,
        instance,
        zone,
        device: DeviceName::new("/dev/sdf").map_err(|_| DryRunError::Name("the device"))?,
        until: now,
    };
    let place = Place { ec2: Cloud(recorder, MemoryParameters::default()), state: State::new(build, lease, now) };
    let build = drive(&place)?;
    match build.phase {
        Phase::Succeeded => pollster::block_on(place.ec2.0.label_snapshots_of_copies())?,
        Phase::Failed(reason) => return Err(DryRunError::Failed(Box::new(reason))),
        _ => return Err(DryRunError::Endless),
    }
    Ok(DryRun { plan: resolved, calls: place.ec2.0.into_calls(), phases: build.history })
}

fn drive(place: &Place) -> Result<Build, DryRunError> {
    for _ in 0..MAX_EVENTS {
        let record = place.state.record();
        if record.phase.has_ended() {
            return Ok(record);
        }
        let Some((now, event)) = place.state.next() else { break };
        place.ec2.0.cloud.set_now(now);
        pollster::block_on(handle(place, &record.id, event, &mut PhaseObserver(&place.ec2.0)))?;
    }
    Err(DryRunError::Endless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_machine::{
        Timing,
        build::NewBuild,
        plan::{RegionPlan, VolumePlan},
    };
    use bakehouse_protocol::{
        BlockDeviceMapping, BuildId, BuildSpec, EbsBlockDevice, Region, RunData,
        spec::{Architecture, ImageQuery, Source, Virtualization},
    };

    fn region(name: &str) -> Region {
        Region::new(name).unwrap()
    }

    /// A clone of an 8 GiB snapshot, copied to one more region.
    fn build() -> (Build, Plan) {
        let spec = BuildSpec::minimal("web-1", Source::Image(ImageQuery::default()));
        let mapping = BlockDeviceMapping {
            device_name: "/dev/sda1".into(),
            ebs: Some(EbsBlockDevice { volume_size: Some(8), ..EbsBlockDevice::default() }),
            ..BlockDeviceMapping::default()
        };
        let tags = bakehouse_ec2::resource::Tags::from([("Team".to_owned(), "web".to_owned())]);
        let description = "for the web".to_owned();
        let texts = RegionPlan { description, snapshot_tags: tags.clone(), tags, ..RegionPlan::default() };
        let plan = Plan {
            data: RunData::default(),
            volume: VolumePlan {
                size: 8,
                snapshot: Some(SnapshotId::new("snap-0123456789abcdef0").unwrap()),
                volume_type: Some("gp3".into()),
                ..VolumePlan::default()
            },
            register: bakehouse_ec2::request::RegisterImage {
                name: "web-1".into(),
                architecture: Some(Architecture::X86_64),
                virtualization_type: Some(Virtualization::Hvm),
                root_device_name: Some("/dev/sda1".into()),
                block_device_mappings: vec![mapping],
                ..Default::default()
            },
            regions: [region("us-east-1"), region("eu-west-1")].map(|region| (region.into(), texts.clone())).into(),
            copies: vec![region("eu-west-1").into()],
            intermediate: false,
            replaced: vec![],
            deprecate_at: None,
            parameters: vec![],
        };
        let new = NewBuild {
            id: BuildId::from_parts(1, 2),
            spec,
            region: region("us-east-1"),
            recipe: "web.json".into(),
            files: String::new(),
            bundle: None,
            timing: Timing::AWS,
        };
        (Build::new(new, Timestamp(1_795_382_528_000)), plan)
    }

    #[test]
    fn the_calls_of_a_build_are_listed_with_what_stands_for_new_ids() {
        let (build, plan) = build();
        let run = dry_run(build, plan).unwrap();
        let value = |action: &str, name: &str| {
            let call = run.calls.iter().find(|call| call.action == action).unwrap();
            call.parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(value("CreateVolume", "SnapshotId"), Some("snap-0123456789abcdef0"));
        assert_eq!(value("AttachVolume", "VolumeId"), Some("(the work volume)"));
        assert_eq!(value("RegisterImage", "BlockDeviceMappings.1.Ebs.SnapshotId"), Some("(the snapshot)"));
        assert_eq!(value("CopyImage", "SourceImageId"), Some("(the image)"));
        assert_eq!(value("CreateTags", "Tags.Team"), None, "tags are set by the create calls");
        let regions: Vec<&str> =
            run.calls.iter().filter(|call| call.action == "CopyImage").map(|call| call.region.as_str()).collect();
        assert_eq!(regions, ["eu-west-1"]);
        assert_eq!(run.phases.last().unwrap().0, PhaseName::Succeeded);
    }

    #[test]
    fn a_build_that_the_model_refuses_is_a_failure_with_its_reason() {
        let (build, mut plan) = build();
        plan.register.name = "x".into();
        let error = dry_run(build, plan).unwrap_err();
        assert!(matches!(&error, DryRunError::Failed(reason) if reason.message.contains("InvalidAMIName")), "{error}");
    }
}
