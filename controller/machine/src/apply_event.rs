//! Writes what an event says into the build's record. What follows from it is decided afterwards.

use alloc::format;
use bakehouse_protocol::{AgentPhase, ImageId, Outcome, Report, ReportBody, Timestamp};

use crate::{
    AccountRegion, Build, Command, CommandKey, Event, FaultKind, ImageStage, JobStage, Output, Phase, SnapshotStage,
    UndoReason, VolumeStage, apply_fault,
    build::Backoff,
    event::{ImageStatus, SnapshotStatus, VolumeStatus},
    failing,
    resources::{
        ImageRecord, ParameterStage, ReplacedStage, SharingRecord, SnapshotRecord, TemporaryImage, VolumeRecord,
    },
    retiring, schedule,
};

/// Whether an event changed the record.
pub(crate) enum Applied {
    Changed,
    /// It says nothing new.
    Nothing,
    /// It can't be true of this build, for this reason.
    Impossible(&'static str),
}

/// Writes an event into the record.
pub(crate) fn apply_event(build: &mut Build, event: Event, now: Timestamp) -> Applied {
    match event {
        Event::Tick => Applied::Changed,
        Event::Resume => {
            // The process that performed them is dead: no result will come, so they are issued again at once.
            for entry in &mut build.in_flight {
                entry.since = Timestamp(0);
            }
            // A job that may have been sent counts as sent: it is stopped, not sent again.
            let before = build.in_flight.len();
            build.in_flight.retain(|entry| entry.command.key() != CommandKey::SendJob);
            if build.in_flight.len() < before && build.resources.job == JobStage::None {
                build.resources.job = JobStage::Sent;
            }
            // Whether these were done is found when they are wanted again, or when what they change is put back.
            build.in_flight.retain(|entry| {
                !matches!(entry.command, Command::DeregisterReplaced(..) | Command::PutParameter { .. })
            });
            // The time-out of the phase starts again: nothing was done for it meanwhile.
            build.history.push((build.phase.name(), now));
            build.backoffs.clear();
            Applied::Changed
        }
        Event::CheckNow => {
            build.backoffs.retain(|backoff| !backoff.key.is_describe() && backoff.key != CommandKey::Lease);
            Applied::Changed
        }
        Event::Cancel => {
            // A build that was to start again ends instead, once it is undone.
            let is_undone = matches!(build.phase, Phase::Undoing(UndoReason::Failed(_) | UndoReason::Cancelled));
            // It comes too late: the images stand, and may be in use.
            if is_undone || build.phase == Phase::Retiring {
                return Applied::Nothing;
            }
            build.phase = Phase::Undoing(UndoReason::Cancelled);
            Applied::Changed
        }
        Event::RemoveLeftovers => {
            let reason = match &build.phase {
                Phase::Failed(reason) => UndoReason::Failed(reason.clone()),
                Phase::Cancelled => UndoReason::Cancelled,
                _ => return Applied::Nothing,
            };
            build.phase = Phase::Undoing(reason);
            build.keep_failed = false;
            build.leftovers.clear();
            // Something may have been left unseen: every region is searched again.
            build.resources.regions.iter_mut().for_each(|region| region.swept = false);
            Applied::Changed
        }
        Event::RunnerFailed { message } => {
            if build.phase == Phase::Retiring {
                retiring::stop(build, &message);
                return Applied::Changed;
            }
            build.fail(message, Some("look at the free space of the state directory (`--state`)".into()));
            Applied::Changed
        }
        Event::Agent(report) => apply_report(build, report, now),
        Event::Result { key, outcome } => {
            // Not in flight: the result was delivered twice, or the command was issued twice and this is the second
            // result.
            let Some(at) = build.in_flight.iter().position(|entry| entry.command.key() == key) else {
                return Applied::Nothing;
            };
            let outcome = outcome.map_err(|fault| apply_fault::masked(build, fault));
            let undoing = matches!(build.phase, Phase::Undoing(_));
            failing::record(&mut build.failing, &key, outcome.as_ref().err(), undoing, now);
            match outcome {
                Ok(output) => {
                    let command = build.in_flight.remove(at).command;
                    apply_output(build, &command, output, now)
                }
                Err(fault) if fault.kind == FaultKind::Ambiguous && needs_result(&build.in_flight[at].command) => {
                    // It stays in flight, and is issued again when what it may have created must be visible.
                    if let Some(region) = build.in_flight[at].command.creates_in() {
                        build.resources.mark_ambiguous(&region);
                    }
                    Applied::Changed
                }
                Err(fault) => {
                    let command = build.in_flight.remove(at).command;
                    apply_fault::apply_fault(build, &command, fault, now);
                    Applied::Changed
                }
            }
        }
    }
}

/// Whether the build can't go on without the result of this command.
fn needs_result(command: &Command) -> bool {
    command.creates_in().is_some() || command.hands_over()
}

/// Writes a report of the agent into the record.
fn apply_report(build: &mut Build, report: Report, now: Timestamp) -> Applied {
    if matches!(build.resources.job, JobStage::Ended { .. }) {
        return Applied::Nothing;
    }
    if build.resources.lease.as_ref().is_none_or(|lease| lease.host != report.host) {
        return Applied::Impossible("a report from a host that this build has no lease on");
    }
    if build.attempt != report.attempt {
        return Applied::Impossible("a report on another attempt of the build");
    }
    // The agent may run a job before the result of sending it arrives, but not before it was sent.
    let is_sent = build.in_flight.iter().any(|entry| matches!(entry.command, Command::SendJob(..)));
    if build.resources.job == JobStage::None && !is_sent {
        return Applied::Impossible("a report of a job that was not sent");
    }
    build.resources.job = match report.body {
        ReportBody::Ended(Outcome::Done(proof)) => JobStage::Ended { proof: Some(proof), failure: None },
        ReportBody::Ended(Outcome::Failed { failure, proof }) if failure.phase == AgentPhase::Find => {
            // The disk did not appear, or is not the right one: no part of the template was run.
            build.lose_host(failure.message.clone(), failure.hint.clone(), Some(failure));
            JobStage::Ended { proof, failure: None }
        }
        ReportBody::Ended(Outcome::Failed { failure, proof }) => JobStage::Ended { proof, failure: Some(failure) },
        ReportBody::Ended(Outcome::Cancelled { proof }) => {
            // Not by this build (by a signal on the host, say). Its proof says only that the volume is not in use, not
            // that the provisioners ran.
            build.lose_host(format!("the job was cancelled on {}", report.host), None, None);
            JobStage::Ended { proof, failure: None }
        }
        ReportBody::Ended(Outcome::Lost { why, proof }) => {
            build.lose_host(format!("the job was lost on {}: {why}", report.host), None, None);
            JobStage::Ended { proof, failure: None }
        }
        _ => JobStage::Running { last_report: now },
    };
    Applied::Changed
}

/// Writes the output of a command into the record, and decides when the command may be issued again.
fn apply_output(build: &mut Build, command: &Command, output: Output, now: Timestamp) -> Applied {
    let key = command.key();
    // A describe command that shows nothing new makes the next one wait longer; any other output resets the wait.
    let before = key.is_describe().then(|| (build.resources.clone(), build.phase.clone()));
    let applied = write_output(build, command, output, now);
    delay_first_describe(build, command, now);
    let nothing_new = before.is_some_and(|(resources, phase)| resources == build.resources && phase == build.phase);
    let must_wait =
        nothing_new || key == CommandKey::StopJob || key == CommandKey::Lease && build.resources.lease.is_none();
    if must_wait {
        let timing = build.timing.clone();
        schedule::back_off(build, key, now, |tries| timing.poll_interval(tries));
    } else if !matches!(key, CommandKey::FindTagged(_)) {
        build.backoffs.retain(|backoff| backoff.key != key);
    }
    applied
}

/// A resource that a command has just begun to change is first described after [`crate::Timing::poll_delay`].
fn delay_first_describe(build: &mut Build, command: &Command, now: Timestamp) {
    let describe = match command {
        Command::CreateVolume(_) | Command::AttachVolume { .. } | Command::DetachVolume(..) => {
            CommandKey::DescribeVolume
        }
        Command::CreateSnapshot { .. } => CommandKey::DescribeSnapshot,
        Command::RegisterImage(register) => CommandKey::DescribeImage(register.region.clone()),
        Command::RegisterFinal(register) => CommandKey::DescribeImage((&register.region).into()),
        Command::CopyImage(copy) => CommandKey::DescribeImage(copy.region.clone()),
        _ => return,
    };
    let copies_data = matches!(command, Command::CreateSnapshot { .. } | Command::CopyImage(_));
    let wait = if copies_data { build.timing.copy_poll_delay } else { build.timing.poll_delay };
    if wait.0 > 0 {
        build.backoffs.retain(|backoff| backoff.key != describe);
        build.backoffs.push(Backoff { key: describe, tries: 0, until: now + wait });
    }
}

fn write_output(build: &mut Build, command: &Command, output: Output, now: Timestamp) -> Applied {
    let resources = &mut build.resources;
    match (command, output) {
        (Command::Resolve, Output::Plan(plan)) => build.plan = Some(*plan),
        (Command::Lease { .. }, Output::Lease(Some(lease))) => resources.lease = Some(lease),
        (Command::RenewLease(_), Output::Lease(Some(renewed))) => {
            if let Some(lease) = resources.lease.as_mut().filter(|lease| lease.device == renewed.device) {
                lease.until = renewed.until;
            }
        }
        (Command::Release(_), Output::Done) => resources.lease = None,
        (Command::CreateVolume(_), Output::VolumeCreated(id)) => {
            resources.volume = Some(VolumeRecord { id, created_at: now, stage: VolumeStage::Creating });
        }
        (Command::DescribeVolume(..), Output::VolumeDescribed(status)) => apply_volume_status(build, &status),
        (Command::AttachVolume { .. }, Output::Done) => resources.raise_volume(VolumeStage::Attaching),
        (Command::DetachVolume(..), Output::Done) => resources.raise_volume(VolumeStage::Detaching),
        (Command::DeleteVolume(..), Output::Done) => resources.raise_volume(VolumeStage::Deleted),
        (Command::SendJob(..), Output::Done) => {
            if resources.job == JobStage::None {
                resources.job = JobStage::Sent;
            }
        }
        // The job ends with the agent's report; this only says that the agent was told.
        (Command::StopJob(_), Output::Done) => {}
        (Command::Lease { .. }, Output::Lease(None)) => {}
        (Command::DescribeSnapshot(..), Output::SnapshotDescribed(SnapshotStatus::Pending)) => {}
        (Command::DescribeImage(..), Output::ImageDescribed(ImageStatus::Pending)) => {}
        (Command::CreateSnapshot { .. }, Output::SnapshotCreated(id)) => {
            resources.snapshot = Some(SnapshotRecord { id, created_at: now, stage: SnapshotStage::Pending });
        }
        (Command::DescribeSnapshot(_, id), Output::SnapshotDescribed(SnapshotStatus::Completed)) => {
            if let Some(snapshot) = resources.snapshot.as_mut().filter(|snapshot| &snapshot.id == id) {
                snapshot.stage = snapshot.stage.max(SnapshotStage::Completed);
            }
        }
        (Command::DescribeSnapshot(_, id), Output::SnapshotDescribed(SnapshotStatus::Error(why))) => {
            build.fail(format!("snapshot {id} of the finished volume failed: {why}"), None);
        }
        (Command::DeleteSnapshot(_, id), Output::Done) => {
            if let Some(snapshot) = resources.snapshot.as_mut().filter(|snapshot| &snapshot.id == id) {
                snapshot.stage = SnapshotStage::Deleted;
            }
        }
        (Command::RegisterImage(register), Output::ImageCreated(id)) => {
            add_image(build, &register.region, &register.request.name, id, now)
        }
        (Command::CopyImage(copy), Output::ImageCreated(id)) => {
            add_image(build, &copy.region, &copy.request.name, id, now)
        }
        (Command::RegisterFinal(register), Output::ImageCreated(id)) => {
            if let Some(image) = resources.image_in_mut(&register.region).filter(|image| image.name_is_temporary) {
                let temporary = TemporaryImage { region: register.region.clone(), id: image.id.clone() };
                *image = ImageRecord {
                    id,
                    created_at: now,
                    stage: ImageStage::Pending,
                    name_is_temporary: false,
                    ..image.clone()
                };
                resources.temporary.push(temporary);
            }
        }
        (Command::ShareImage(_), Output::Done) => {
            resources.sharing = Some(SharingRecord { since: now, ended: false });
        }
        (Command::UnshareImage(_), Output::Done) => {
            if let Some(sharing) = &mut resources.sharing {
                sharing.ended = true;
            }
        }
        (Command::WatermarkImage(region, ..), Output::Done) => resources.raise_image(region, ImageStage::Marked),
        (Command::ProtectImage { region, .. }, Output::Done) => resources.raise_image(region, ImageStage::Protected),
        (Command::DeregisterReplaced(region, _), Output::Done) => {
            resources.raise_replaced(region, ReplacedStage::Deregistered);
        }
        (Command::RemoveTemporary(region, _), Output::Done) => {
            resources.temporary.retain(|image| &image.region != region);
        }
        (Command::RestoreReplaced(image), Output::Restored(new)) => {
            resources.raise_replaced(&image.region, ReplacedStage::Restored);
            if let Some(new) = new {
                build.warnings.push(format!(
                    "the image \"{}\" in {} was to be replaced and is registered again: it was {}, and is {new}",
                    image.register.name, image.region, image.id
                ));
            }
        }
        (Command::PutParameter { region, name, .. }, Output::Done) => {
            resources.set_parameter(region, name, ParameterStage::Written);
        }
        (Command::RestoreParameter(it), Output::Done) => {
            resources.set_parameter(&it.region, &it.name, ParameterStage::Restored);
        }
        (Command::FindOldImages { region, .. }, Output::OldImages(found)) => {
            resources.searched.push(region.clone());
            resources.old_images.extend(found);
        }
        (Command::RetireImage(old), Output::Done) => resources.old_images.retain(|it| it != old),
        (Command::DescribeImage(region, _), Output::ImageDescribed(ImageStatus::Available(snapshots))) => {
            let own = resources.snapshot.as_ref().map(|snapshot| snapshot.id.clone());
            if let Some(image) = resources.image_in_mut(region) {
                image.stage = image.stage.max(ImageStage::Available);
                image.snapshots = snapshots;
                // Its other mappings may name snapshots that existed before: those that the template names, or those of
                // the source image's data disks. The snapshots of a copy are all new.
                if *region == build.region {
                    image.snapshots.retain(|id| Some(id) == own.as_ref());
                }
            }
        }
        (Command::DescribeImage(region, id), Output::ImageDescribed(ImageStatus::Failed(why))) => {
            build.fail(format!("image {id} in {region} failed: {why}"), None);
        }
        (Command::PublishImage(publish), Output::Done) => {
            resources.raise_image(&publish.region, ImageStage::Published);
        }
        (Command::RemoveImage(region, _), Output::Done) => resources.raise_image(region, ImageStage::Removed),
        (Command::FindTagged(region), Output::Tagged(found)) => crate::undo::record_tagged(build, region, found, now),
        (Command::RemoveOrphan(resource), Output::Done) => resources.orphans.retain(|orphan| orphan != resource),
        _ => return Applied::Impossible("a result of a kind that its command does not return"),
    }
    Applied::Changed
}

/// Writes the described status of the work volume into the record.
fn apply_volume_status(build: &mut Build, status: &VolumeStatus) {
    let Some(volume) = build.resources.volume.as_mut() else { return };
    match status {
        // `available` means detached only after the detach command: before it, the accepted attachment may not be
        // visible yet.
        VolumeStatus::Available if volume.stage == VolumeStage::Creating => volume.stage = VolumeStage::Available,
        VolumeStatus::Available if matches!(volume.stage, VolumeStage::Detaching | VolumeStage::Missing) => {
            volume.stage = VolumeStage::Free;
        }
        // It is still attached: if it is to be detached, the detach command must be issued (again).
        VolumeStatus::Attached if volume.stage != VolumeStage::Deleted => volume.stage = VolumeStage::Attached,
        VolumeStatus::Deleted => volume.stage = VolumeStage::Deleted,
        VolumeStatus::Error => {
            let id = volume.id.clone();
            volume.stage = volume.stage.max(VolumeStage::Available);
            build.fail(
                format!("volume {id} changed to the state error"),
                Some(
                    "a KMS key that can't be used has no other symptom: check the snapshot's key and its policy".into(),
                ),
            );
        }
        _ => {}
    }
}

fn add_image(build: &mut Build, region: &AccountRegion, name: &str, id: ImageId, now: Timestamp) {
    if build.resources.image_in(region).is_some() {
        return;
    }
    let name_is_temporary = build.plan.as_ref().is_some_and(|plan| plan.register.name != name);
    let (region, stage) = (region.clone(), ImageStage::Pending);
    let snapshots = alloc::vec![];
    build.resources.images.push(ImageRecord { region, id, created_at: now, stage, snapshots, name_is_temporary });
}
