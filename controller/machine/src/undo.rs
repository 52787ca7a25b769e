//! Removing everything a build has made, newest first, each thing on its own so that one that will not go holds up no
//! other. At the end stands a look by tag in every region where something was or may have been made: it finds what an
//! answer that was lost has made.

use alloc::{vec, vec::Vec};
use bakehouse_protocol::{Region, Timestamp};

use crate::{
    Build, Command, ImageStage, JobStage, Phase, Resources, SnapshotStage, Step, UndoReason, VolumeStage, advance,
    resources::Resource, schedule,
};

/// The commands wanted now. Ends the build when nothing is left.
pub(crate) fn undo(build: &mut Build, now: Timestamp) -> Vec<Command> {
    let settled = settle(build);
    let mut wanted = images(build);
    wanted.extend(job(build));
    // The snapshot is held by the image, the volume by the agent: each goes when its holder has gone.
    if build.resources.images.iter().all(|image| image.stage == ImageStage::Removed) {
        wanted.extend(snapshot(build));
    }
    if !build.resources.job.may_run() && !is_open(build, &Step::SendJob) {
        wanted.extend(volume(build));
    }
    if settled {
        // Where an answer was lost the look comes at once: what it made may hold what we know of.
        let only_in_doubt = !wanted.is_empty() || build.resources.lease.is_some();
        wanted.extend(orphans(build));
        wanted.extend(verify(build, only_in_doubt, now));
        if wanted.is_empty() && build.in_flight.is_empty() {
            end(build);
        }
    }
    wanted
}

/// Commands still open when the build turned back. A question needs no answer any more; whatever makes or hands over
/// something must be answered first (if need be by being given out again), or its work would never be known.
fn settle(build: &mut Build) -> bool {
    let matters = |command: &Command| {
        command.creates_in().is_some()
            || matches!(command, Command::Lease { .. } | Command::AttachVolume { .. } | Command::SendJob(..))
    };
    let is_undo = |command: &Command| {
        matches!(
            command,
            Command::DescribeVolume(..)
                | Command::DetachVolume(..)
                | Command::DeleteVolume(..)
                | Command::DeleteSnapshot(..)
                | Command::RemoveImage(..)
                | Command::Remove(_)
                | Command::Release(_)
                | Command::StopJob(_)
                | Command::Verify(_)
        )
    };
    build.in_flight.retain(|open| matters(&open.command) || is_undo(&open.command));
    !build.in_flight.iter().any(|open| matters(&open.command))
}

fn is_open(build: &Build, step: &Step) -> bool {
    build.in_flight.iter().any(|open| &open.command.step() == step)
}

fn images(build: &Build) -> Vec<Command> {
    let left = build.resources.images.iter().rev().filter(|image| image.stage != ImageStage::Removed);
    left.map(|image| Command::RemoveImage(image.region.clone(), image.id.clone())).collect()
}

fn snapshot(build: &Build) -> Option<Command> {
    let snapshot = build.resources.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted)?;
    // An image being registered may hold it before we know of that image.
    (!is_open(build, &Step::RegisterImage)).then(|| Command::DeleteSnapshot(build.region.clone(), snapshot.id.clone()))
}

fn job(build: &Build) -> Option<Command> {
    let lease = build.resources.lease.as_ref()?;
    build.resources.job.may_run().then(|| Command::StopJob(lease.host.clone()))
}

fn volume(build: &Build) -> Option<Command> {
    if is_open(build, &Step::CreateVolume)
        || is_open(build, &Step::AttachVolume)
        || is_open(build, &Step::CreateSnapshot)
    {
        return None;
    }
    advance::let_go(build, true)
}

/// What a look by tag has found beyond the record: images first, as they hold their snapshots.
fn orphans(build: &Build) -> Vec<Command> {
    let is_image = |orphan: &&Resource| matches!(orphan, Resource::Image(..));
    let orphans = &build.resources.orphans;
    let holds = orphans.iter().any(|orphan| is_image(&orphan));
    orphans.iter().filter(|orphan| !holds || is_image(orphan)).cloned().map(Command::Remove).collect()
}

/// One look by tag in every touched region; where an answer was lost, one that is late enough to see everything.
fn verify(build: &mut Build, only_in_doubt: bool, now: Timestamp) -> Vec<Command> {
    let consistency = build.timing.consistency;
    let mut wanted = vec![];
    let mut early: Vec<(Region, Timestamp)> = vec![];
    for regions in build.resources.regions.iter().filter(|regions| !regions.swept) {
        if only_in_doubt && !regions.in_doubt {
            continue;
        }
        let from = regions.last + consistency;
        if regions.in_doubt && now < from {
            early.push((regions.region.clone(), from));
        }
        wanted.push(Command::Verify(regions.region.clone()));
    }
    for (region, from) in early {
        let step = Step::Verify(region);
        build.backoffs.retain(|pause| pause.step != step);
        schedule::back_off(build, step, now, |_| from.since(now));
    }
    wanted
}

/// What a look by tag found.
pub(crate) fn swept(build: &mut Build, region: &Region, found: Vec<Resource>, now: Timestamp) {
    let timing = build.timing.clone();
    if found.is_empty() {
        let asked_in_time =
            |regions: &crate::resources::Touched| !regions.in_doubt || regions.last + timing.consistency <= now;
        for regions in build.resources.regions.iter_mut().filter(|regions| &regions.region == region) {
            regions.swept = asked_in_time(regions);
        }
        return;
    }
    // What is on its way out may be seen a while longer: the next look comes after a pause.
    schedule::back_off(build, Step::Verify(region.clone()), now, |tries| timing.look(tries));
    let unknown: Vec<_> = found.into_iter().filter(|resource| !is_being_undone(build, resource)).collect();
    build.resources.orphans.extend(unknown);
    build.resources.orphans.sort();
    build.resources.orphans.dedup();
}

/// Whether the record knows of it and has not yet seen it go.
fn is_being_undone(build: &Build, resource: &Resource) -> bool {
    let resources = &build.resources;
    match resource {
        Resource::Image(region, id) => {
            resources.image_in(region).is_some_and(|image| &image.id == id && image.stage != ImageStage::Removed)
        }
        Resource::Snapshot(_, id) => {
            resources.snapshot.as_ref().is_some_and(|it| &it.id == id && it.stage != SnapshotStage::Deleted)
        }
        Resource::Volume(_, id) => {
            resources.volume.as_ref().is_some_and(|volume| &volume.id == id && volume.stage != VolumeStage::Deleted)
        }
    }
}

fn end(build: &mut Build) {
    if let Phase::Undoing(ending) = &build.phase {
        build.phase = match ending.clone() {
            UndoReason::Failed(reason) => Phase::Failed(reason),
            UndoReason::Cancelled => Phase::Cancelled,
            UndoReason::Again { .. } => {
                build.attempt += 1;
                build.resources = Resources::default();
                Phase::Queued
            }
        };
    }
    // What is remembered of a build that has ended badly: nothing of it exists.
    debug_assert!(build.resources.volume.as_ref().is_none_or(|volume| volume.stage == VolumeStage::Deleted));
    debug_assert!(!matches!(build.resources.job, JobStage::Running { .. }));
}
