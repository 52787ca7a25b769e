//! What an event says is written into the build's record; what follows from it is decided afterwards.

use alloc::format;
use bakehouse_protocol::{AgentPhase, Outcome, Report, ReportBody, Timestamp, mask::Mask};

use crate::{
    Build, Command, Event, Fault, FaultKind, ImageStage, JobStage, Output, Phase, SnapshotStage, Step, UndoReason,
    VolumeStage,
    build::Backoff,
    event::{ImageFacts, SnapshotFacts, VolumeFacts},
    failing,
    resources::{ImageRecord, SnapshotRecord, VolumeRecord},
    schedule,
};

/// Whether an event changed anything.
pub(crate) enum Applied {
    Yes,
    Nothing,
    Impossible(&'static str),
}

pub(crate) fn apply_event(build: &mut Build, event: Event, now: Timestamp) -> Applied {
    match event {
        Event::Tick => Applied::Yes,
        Event::Resume => {
            // Whoever performed them is dead for certain: nobody will answer.
            for open in &mut build.in_flight {
                open.since = Timestamp(0);
            }
            // A job that may have been sent is taken for sent: it is stopped, not sent again.
            let before = build.in_flight.len();
            build.in_flight.retain(|open| open.command.step() != Step::SendJob);
            if build.in_flight.len() < before && build.resources.job == JobStage::None {
                build.resources.job = JobStage::Sent;
            }
            // The phase's time begins anew: nobody worked on it meanwhile.
            build.history.push((build.phase.name(), now));
            build.backoffs.clear();
            Applied::Yes
        }
        Event::Hint => {
            build.backoffs.retain(|pause| !pause.step.is_describe() && pause.step != Step::Lease);
            Applied::Yes
        }
        Event::Cancel => {
            // One that was to begin anew is not: it ends once it is undone.
            if matches!(build.phase, Phase::Undoing(UndoReason::Failed(_) | UndoReason::Cancelled)) {
                return Applied::Nothing;
            }
            build.phase = Phase::Undoing(UndoReason::Cancelled);
            Applied::Yes
        }
        Event::Trouble { message } => {
            build.fail(message, Some("look at the free space of the state directory (`--state`)".into()));
            Applied::Yes
        }
        Event::Agent(report) => heard(build, report, now),
        Event::Result { step, outcome } => {
            // Not open: a result that came twice, or one of a command that has been given out again and answered.
            let Some(at) = build.in_flight.iter().position(|open| open.command.step() == step) else {
                return Applied::Nothing;
            };
            let outcome = outcome.map_err(|fault| masked(build, fault));
            let undoing = matches!(build.phase, Phase::Undoing(_));
            failing::note(&mut build.failing, &step, outcome.as_ref().err(), undoing, now);
            match outcome {
                Ok(output) => {
                    let command = build.in_flight.remove(at).command;
                    succeeded(build, &command, output, now)
                }
                Err(fault) if fault.kind == FaultKind::Ambiguous && must_be_answered(&build.in_flight[at].command) => {
                    // Stays open: it is given out again when what it may have made must have become visible.
                    if let Some(region) = build.in_flight[at].command.creates_in().cloned() {
                        build.resources.mark_uncertain(&region);
                    }
                    Applied::Yes
                }
                Err(fault) => {
                    let command = build.in_flight.remove(at).command;
                    failed(build, &command, fault, now);
                    Applied::Yes
                }
            }
        }
    }
}

fn must_be_answered(command: &Command) -> bool {
    command.creates_in().is_some() || command.hands_over()
}

fn heard(build: &mut Build, report: Report, now: Timestamp) -> Applied {
    if matches!(build.resources.job, JobStage::Ended { .. }) {
        return Applied::Nothing;
    }
    if build.resources.lease.as_ref().is_none_or(|lease| lease.host != report.host) {
        return Applied::Impossible("a report from a host that does not hold this build");
    }
    if build.attempt != report.attempt {
        return Applied::Impossible("a report on another attempt");
    }
    // A job can be at work before we know that sending it succeeded, but not before it was to be sent.
    let is_sent = build.in_flight.iter().any(|open| matches!(open.command, Command::SendJob(..)));
    if build.resources.job == JobStage::None && !is_sent {
        return Applied::Impossible("a report of a job that was not sent");
    }
    build.resources.job = match report.body {
        ReportBody::Ended(Outcome::Done(proof)) => JobStage::Ended { proof: Some(proof), failure: None },
        ReportBody::Ended(Outcome::Failed { failure, proof }) if failure.phase == AgentPhase::Find => {
            // The disk did not come, or is not what it should be: nothing of the template was begun.
            build.lose_with(failure.message.clone(), failure.hint.clone(), Some(failure));
            JobStage::Ended { proof, failure: None }
        }
        ReportBody::Ended(Outcome::Failed { failure, proof }) => JobStage::Ended { proof, failure: Some(failure) },
        ReportBody::Ended(Outcome::Cancelled { proof }) => {
            // Nobody here has asked for it (a signal on the host, say): a proof that the volume is free is none that
            // the work is done.
            build.lose(format!("the job was cancelled on {}", report.host), None);
            JobStage::Ended { proof, failure: None }
        }
        ReportBody::Ended(Outcome::Lost { why, proof }) => {
            build.lose(format!("the job was lost on {}: {why}", report.host), None);
            JobStage::Ended { proof, failure: None }
        }
        _ => JobStage::Running { heard: now },
    };
    Applied::Yes
}

fn succeeded(build: &mut Build, command: &Command, output: Output, now: Timestamp) -> Applied {
    let step = command.step();
    // A look that shows nothing new makes the next one wait a little longer; anything else starts afresh.
    let before = step.is_describe().then(|| (build.resources.clone(), build.phase.clone()));
    let taken = apply(build, command, output, now);
    settle(build, command, now);
    let nothing_new = before.is_some_and(|(resources, phase)| resources == build.resources && phase == build.phase);
    let must_wait =
        nothing_new || matches!(step, Step::StopJob) || step == Step::Lease && build.resources.lease.is_none();
    if must_wait {
        let timing = build.timing.clone();
        schedule::back_off(build, step, now, |tries| timing.look(tries));
    } else if !matches!(step, Step::Verify(_)) {
        build.backoffs.retain(|pause| pause.step != step);
    }
    taken
}

/// What was just asked for takes its time: it is not looked at before [`crate::Timing::settle`] has passed.
fn settle(build: &mut Build, command: &Command, now: Timestamp) {
    let look = match command {
        Command::CreateVolume(_) | Command::AttachVolume { .. } | Command::DetachVolume(..) => Step::DescribeVolume,
        Command::CreateSnapshot { .. } => Step::DescribeSnapshot,
        Command::RegisterImage(register) => Step::DescribeImage(register.region.clone()),
        Command::CopyImage(copy) => Step::DescribeImage(copy.region.clone()),
        _ => return,
    };
    let copies = matches!(command, Command::CreateSnapshot { .. } | Command::CopyImage(_));
    let wait = if copies { build.timing.settle_data } else { build.timing.settle };
    if wait.0 > 0 {
        build.backoffs.retain(|pause| pause.step != look);
        build.backoffs.push(Backoff { step: look, tries: 0, until: now + wait });
    }
}

fn apply(build: &mut Build, command: &Command, output: Output, now: Timestamp) -> Applied {
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
        (Command::CreateVolume(_), Output::Volume(id)) => {
            resources.volume = Some(VolumeRecord { id, made_at: now, stage: VolumeStage::Creating });
        }
        (Command::DescribeVolume(..), Output::VolumeSeen(facts)) => see_volume(build, &facts),
        (Command::AttachVolume { .. }, Output::Done) => raise(build, VolumeStage::Attaching),
        (Command::DetachVolume(..), Output::Done) => raise(build, VolumeStage::Detaching),
        (Command::DeleteVolume(..), Output::Done) => raise(build, VolumeStage::Deleted),
        (Command::SendJob(..), Output::Done) => {
            if resources.job == JobStage::None {
                resources.job = JobStage::Sent;
            }
        }
        // The agent's own word ends the job; this only says that it has been told.
        (Command::StopJob(_), Output::Done) => {}
        (Command::Lease { .. }, Output::Lease(None)) => {}
        (Command::DescribeSnapshot(..), Output::SnapshotSeen(SnapshotFacts::Pending)) => {}
        (Command::DescribeImage(..), Output::ImageSeen(ImageFacts::Pending)) => {}
        (Command::CreateSnapshot { .. }, Output::Snapshot(id)) => {
            resources.snapshot = Some(SnapshotRecord { id, made_at: now, stage: SnapshotStage::Pending });
        }
        (Command::DescribeSnapshot(_, id), Output::SnapshotSeen(SnapshotFacts::Completed)) => {
            if let Some(snapshot) = resources.snapshot.as_mut().filter(|snapshot| &snapshot.id == id) {
                snapshot.stage = snapshot.stage.max(SnapshotStage::Completed);
            }
        }
        (Command::DescribeSnapshot(_, id), Output::SnapshotSeen(SnapshotFacts::Error(why))) => {
            build.fail(format!("snapshot {id} of the finished volume failed: {why}"), None);
        }
        (Command::DeleteSnapshot(_, id), Output::Done) => {
            if let Some(snapshot) = resources.snapshot.as_mut().filter(|snapshot| &snapshot.id == id) {
                snapshot.stage = SnapshotStage::Deleted;
            }
        }
        (Command::RegisterImage(register), Output::Image(id)) => new_image(build, register.region.clone(), id, now),
        (Command::CopyImage(copy), Output::Image(id)) => new_image(build, copy.region.clone(), id, now),
        (Command::DescribeImage(region, _), Output::ImageSeen(ImageFacts::Available(snapshots))) => {
            let own = resources.snapshot.as_ref().map(|snapshot| snapshot.id.clone());
            if let Some(image) = resources.image_in_mut(region) {
                image.stage = image.stage.max(ImageStage::Available);
                image.snapshots = snapshots;
                // Its other mappings may hold snapshots that were there before: named by the template, or of the base's
                // data disks. A copy's are all new.
                if *region == build.region {
                    image.snapshots.retain(|id| Some(id) == own.as_ref());
                }
            }
        }
        (Command::DescribeImage(region, id), Output::ImageSeen(ImageFacts::Failed(why))) => {
            build.fail(format!("image {id} in {region} failed: {why}"), None);
        }
        (Command::PublishImage(publish), Output::Done) => {
            if let Some(image) = resources.image_in_mut(&publish.region) {
                image.stage = image.stage.max(ImageStage::Published);
            }
        }
        (Command::RemoveImage(region, _), Output::Done) => {
            if let Some(image) = resources.image_in_mut(region) {
                image.stage = ImageStage::Removed;
            }
        }
        (Command::Verify(region), Output::Tagged(found)) => crate::undo::swept(build, region, found, now),
        (Command::Remove(resource), Output::Done) => resources.orphans.retain(|orphan| orphan != resource),
        _ => return Applied::Impossible("a result of another kind than its command gives"),
    }
    Applied::Yes
}

fn see_volume(build: &mut Build, facts: &VolumeFacts) {
    let Some(volume) = build.resources.volume.as_mut() else { return };
    match facts {
        // `available` means free again only once we have asked for the detaching; an attach that was accepted may not
        // be visible yet.
        VolumeFacts::Available if volume.stage == VolumeStage::Creating => volume.stage = VolumeStage::Available,
        VolumeFacts::Available if matches!(volume.stage, VolumeStage::Detaching | VolumeStage::Missing) => {
            volume.stage = VolumeStage::Free;
        }
        // Attached still, or again: the detaching must be asked for (once more).
        VolumeFacts::Attached if volume.stage != VolumeStage::Deleted => volume.stage = VolumeStage::Attached,
        VolumeFacts::Deleted => volume.stage = VolumeStage::Deleted,
        VolumeFacts::Error => {
            let id = volume.id.clone();
            volume.stage = volume.stage.max(VolumeStage::Available);
            build.fail(
                format!("volume {id} went to the state error"),
                Some("a KMS key that can't be used shows only so: look at the snapshot's key and its policy".into()),
            );
        }
        _ => {}
    }
}

fn raise(build: &mut Build, stage: VolumeStage) {
    if let Some(volume) = build.resources.volume.as_mut() {
        volume.stage = volume.stage.max(stage);
    }
}

fn new_image(build: &mut Build, region: bakehouse_protocol::Region, id: bakehouse_protocol::ImageId, now: Timestamp) {
    if build.resources.image_in(&region).is_none() {
        let stage = ImageStage::Pending;
        build.resources.images.push(ImageRecord { region, id, made_at: now, stage, snapshots: alloc::vec![] });
    }
}

/// Returns the fault without the build's sensitive values: it quotes names and what EC2 says of them, and is kept and
/// shown.
pub fn masked(build: &Build, mut fault: Fault) -> Fault {
    let mask = Mask::new(&build.spec.sensitive);
    fault.message = mask.apply(&fault.message).into_owned();
    fault.hint = fault.hint.map(|hint| mask.apply(&hint).into_owned());
    fault
}

fn failed(build: &mut Build, command: &Command, fault: Fault, now: Timestamp) {
    let timing = build.timing.clone();
    let step = command.step();
    match fault.kind {
        FaultKind::Throttled | FaultKind::Ambiguous => {
            schedule::back_off(build, step, now, |tries| timing.retry(tries))
        }
        FaultKind::NotReady => {
            schedule::back_off(build, step, now, |tries| timing.look(tries));
            // Attached after all, or still: look at it before it is tried again.
            if let (Command::DeleteVolume(..), Some(volume)) = (command, build.resources.volume.as_mut()) {
                volume.stage = VolumeStage::Detaching;
            }
        }
        FaultKind::NotFound => gone(build, command, fault, now),
        FaultKind::Conflict => taken(build, command, fault),
        FaultKind::Permanent if matches!(build.phase, Phase::Undoing(_)) => {
            // Tried again until the deadline: an operator may give the missing permission meanwhile. A create that
            // was refused has made nothing and needs nothing.
            if command.creates_in().is_none() {
                schedule::back_off(build, step, now, |tries| timing.retry(tries));
            }
        }
        FaultKind::Permanent => build.fail(fault.message, fault.hint),
    }
}

/// "No such thing": for what was made moments ago it means "not yet"; for what is to be removed it means "done".
fn gone(build: &mut Build, command: &Command, fault: Fault, now: Timestamp) {
    let volume = build.resources.volume.as_ref();
    let made_at = match command {
        // What EC2 itself has called attached it has seen for certain: that it is gone is news.
        Command::DescribeVolume(..) | Command::DetachVolume(..) | Command::DeleteVolume(..) => {
            volume.filter(|volume| volume.stage < VolumeStage::Attached).map(|volume| volume.made_at)
        }
        Command::AttachVolume { .. } | Command::CreateSnapshot { .. } => volume.map(|volume| volume.made_at),
        // The same of a snapshot that EC2 has called completed: it goes with its image, too.
        Command::DeleteSnapshot(..) => {
            let snapshot = build.resources.snapshot.as_ref();
            snapshot.filter(|snapshot| snapshot.stage < SnapshotStage::Completed).map(|snapshot| snapshot.made_at)
        }
        Command::DescribeSnapshot(..) | Command::RegisterImage(_) => {
            build.resources.snapshot.as_ref().map(|snapshot| snapshot.made_at)
        }
        Command::DescribeImage(region, _) | Command::RemoveImage(region, _) => {
            build.resources.image_in(region).map(|image| image.made_at)
        }
        Command::PublishImage(publish) => build.resources.image_in(&publish.region).map(|image| image.made_at),
        Command::CopyImage(_) => build.resources.images.first().map(|image| image.made_at),
        _ => None,
    };
    if made_at.is_some_and(|made_at| now < made_at + build.timing.consistency) {
        let timing = build.timing.clone();
        return schedule::back_off(build, command.step(), now, |tries| timing.look(tries));
    }
    let resources = &mut build.resources;
    match command {
        // Detached, perhaps even deleted: a look at it tells.
        Command::DetachVolume(..) => raise(build, VolumeStage::Detaching),
        // EC2 says so of a volume that it does not see yet, too; a look at it settles it.
        Command::DeleteVolume(..) => {
            if let Some(volume) = resources.volume.as_mut() {
                volume.stage = VolumeStage::Detaching;
            }
        }
        Command::DeleteSnapshot(..) => {
            if let Some(snapshot) = resources.snapshot.as_mut() {
                snapshot.stage = SnapshotStage::Deleted;
            }
        }
        Command::RemoveImage(region, _) => {
            if let Some(image) = resources.image_in_mut(region) {
                image.stage = ImageStage::Removed;
            }
        }
        Command::Remove(resource) => resources.orphans.retain(|orphan| orphan != resource),
        Command::Release(_) => resources.lease = None,
        // The host knows of no such job: it has ended, or never began. The volume is taken from it either way.
        Command::StopJob(_) => resources.job = JobStage::Ended { proof: None, failure: None },
        // Nobody needs it any more: that it is gone is what was wanted.
        Command::DescribeVolume(..)
            if matches!(build.phase, Phase::Undoing(_))
                || resources.volume.as_ref().is_some_and(|volume| volume.stage >= VolumeStage::Detaching) =>
        {
            match resources.volume.as_mut() {
                Some(volume) if volume.stage < VolumeStage::Missing => {
                    volume.stage = VolumeStage::Missing;
                    let timing = build.timing.clone();
                    schedule::back_off(build, command.step(), now, |tries| timing.look(tries));
                }
                _ => raise(build, VolumeStage::Deleted),
            }
        }
        // The host's queue, its instance, or our slot on it is no more.
        Command::SendJob(..) | Command::AttachVolume { .. } | Command::RenewLease(_) => {
            build.lose(fault.message, fault.hint);
        }
        _ => build.fail(fault.message, fault.hint),
    }
}

/// "The name is taken": of a device, another is leased; of an image, the build has failed.
fn taken(build: &mut Build, command: &Command, fault: Fault) {
    match command {
        Command::AttachVolume { device, .. } if build.spec.chroot.device_path.is_none() => {
            if !build.resources.avoid.contains(device) {
                build.resources.avoid.push(device.clone());
            }
        }
        _ => build.fail(fault.message, fault.hint),
    }
}
