//! Removing everything a build has made, newest first, each thing on its own so that one that will not go holds up no
//! other. At the end stands a look by tag in every region where something was or may have been made: it finds what an
//! answer that was lost has made.

use alloc::{vec, vec::Vec};
use bakehouse_protocol::{Region, Timestamp};

use crate::{
    Build, Command, Ending, ImageStage, JobStage, Made, Phase, SnapshotStage, Step, VolumeStage, advance,
    made::Resource, wants,
};

/// The commands wanted now. Ends the build when nothing is left.
pub(crate) fn undo(build: &mut Build, now: Timestamp) -> Vec<Command> {
    let settled = settle(build);
    let mut wanted = images(build);
    wanted.extend(job(build));
    // The snapshot is held by the image, the volume by the agent: each goes when its holder has gone.
    if build.made.images.iter().all(|image| image.stage == ImageStage::Removed) {
        wanted.extend(snapshot(build));
    }
    if !build.made.job.may_run() && !is_open(build, &Step::SendJob) {
        wanted.extend(volume(build));
    }
    if settled {
        // Where an answer was lost the look comes at once: what it made may hold what we know of.
        let only_in_doubt = !wanted.is_empty() || build.made.lease.is_some();
        wanted.extend(orphans(build));
        wanted.extend(verify(build, only_in_doubt, now));
        if wanted.is_empty() && build.open.is_empty() {
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
            Command::SeeVolume(..)
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
    build.open.retain(|open| matters(&open.command) || is_undo(&open.command));
    !build.open.iter().any(|open| matters(&open.command))
}

fn is_open(build: &Build, step: &Step) -> bool {
    build.open.iter().any(|open| &open.command.step() == step)
}

fn images(build: &Build) -> Vec<Command> {
    let left = build.made.images.iter().rev().filter(|image| image.stage != ImageStage::Removed);
    left.map(|image| Command::RemoveImage(image.region.clone(), image.id.clone())).collect()
}

fn snapshot(build: &Build) -> Option<Command> {
    let snapshot = build.made.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted)?;
    // An image being registered may hold it before we know of that image.
    (!is_open(build, &Step::RegisterImage)).then(|| Command::DeleteSnapshot(build.region.clone(), snapshot.id.clone()))
}

fn job(build: &Build) -> Option<Command> {
    let lease = build.made.lease.as_ref()?;
    build.made.job.may_run().then(|| Command::StopJob(lease.host.clone()))
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
    let orphans = &build.made.orphans;
    let holds = orphans.iter().any(|orphan| is_image(&orphan));
    orphans.iter().filter(|orphan| !holds || is_image(orphan)).cloned().map(Command::Remove).collect()
}

/// One look by tag in every touched region; where an answer was lost, one that is late enough to see everything.
fn verify(build: &mut Build, only_in_doubt: bool, now: Timestamp) -> Vec<Command> {
    let consistency = build.pace.consistency;
    let mut wanted = vec![];
    let mut early: Vec<(Region, Timestamp)> = vec![];
    for touched in build.made.touched.iter().filter(|touched| !touched.verified) {
        if only_in_doubt && !touched.in_doubt {
            continue;
        }
        let from = touched.last + consistency;
        if touched.in_doubt && now < from {
            early.push((touched.region.clone(), from));
        }
        wanted.push(Command::Verify(touched.region.clone()));
    }
    for (region, from) in early {
        let step = Step::Verify(region);
        build.pauses.retain(|pause| pause.step != step);
        wants::pause(build, step, now, |_| from.since(now));
    }
    wanted
}

/// What a look by tag found.
pub(crate) fn verified(build: &mut Build, region: &Region, found: Vec<Resource>, now: Timestamp) {
    let pace = build.pace.clone();
    if found.is_empty() {
        let asked_in_time =
            |touched: &crate::made::Touched| !touched.in_doubt || touched.last + pace.consistency <= now;
        for touched in build.made.touched.iter_mut().filter(|touched| &touched.region == region) {
            touched.verified = asked_in_time(touched);
        }
        return;
    }
    // What is on its way out may be seen a while longer: the next look comes after a pause.
    wants::pause(build, Step::Verify(region.clone()), now, |tries| pace.look(tries));
    let unknown: Vec<_> = found.into_iter().filter(|resource| !is_being_undone(build, resource)).collect();
    build.made.orphans.extend(unknown);
    build.made.orphans.sort();
    build.made.orphans.dedup();
}

/// Whether the record knows of it and has not yet seen it go.
fn is_being_undone(build: &Build, resource: &Resource) -> bool {
    let made = &build.made;
    match resource {
        Resource::Image(region, id) => {
            made.image_in(region).is_some_and(|image| &image.id == id && image.stage != ImageStage::Removed)
        }
        Resource::Snapshot(_, id) => {
            made.snapshot.as_ref().is_some_and(|it| &it.id == id && it.stage != SnapshotStage::Deleted)
        }
        Resource::Volume(_, id) => {
            made.volume.as_ref().is_some_and(|volume| &volume.id == id && volume.stage != VolumeStage::Deleted)
        }
    }
}

fn end(build: &mut Build) {
    if let Phase::Undoing(ending) = &build.phase {
        build.phase = match ending.clone() {
            Ending::Failed(reason) => Phase::Failed(reason),
            Ending::Cancelled => Phase::Cancelled,
            Ending::Again { .. } => {
                build.attempt += 1;
                build.made = Made::default();
                Phase::Queued
            }
        };
    }
    // What is remembered of a build that has ended badly: nothing of it exists.
    debug_assert!(build.made.volume.as_ref().is_none_or(|volume| volume.stage == VolumeStage::Deleted));
    debug_assert!(!matches!(build.made.job, JobStage::Running { .. }));
}
