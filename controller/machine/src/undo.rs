//! Removing everything a build has made, newest first, each thing on its own so that one that will not go holds up no
//! other. At the end stands a look by tag in every region where something was or may have been made: it finds what an
//! answer that was lost has made.

use alloc::{vec, vec::Vec};
use bakehouse_protocol::{Region, Timestamp};

use crate::{
    Build, Command, Ending, ImageStage, JobStage, Phase, SnapshotStage, Step, VolumeStage, advance, made::Resource,
    wants,
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
    if settled && wanted.is_empty() && build.made.lease.is_none() {
        wanted.extend(verify(build, now));
        if wanted.is_empty() && build.open.is_empty() && build.made.touched.iter().all(|touched| touched.verified) {
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
    if is_open(build, &Step::CreateVolume) || is_open(build, &Step::AttachVolume) || is_open(build, &Step::CreateSnapshot)
    {
        return None;
    }
    advance::let_go(build, true)
}

/// One look by tag in every touched region; where an answer was lost, one that is late enough to see everything.
fn verify(build: &mut Build, now: Timestamp) -> Vec<Command> {
    if !build.made.orphans.is_empty() {
        let holds = build.made.orphans.iter().any(|orphan| matches!(orphan, Resource::Image(..)));
        let ready = build.made.orphans.iter().filter(|orphan| !holds || matches!(orphan, Resource::Image(..)));
        return ready.cloned().map(Command::Remove).collect();
    }
    let consistency = build.pace.consistency;
    let mut wanted = vec![];
    let mut early: Vec<(Region, Timestamp)> = vec![];
    for touched in build.made.touched.iter().filter(|touched| !touched.verified) {
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
        let asked_in_time = |touched: &crate::made::Touched| !touched.in_doubt || touched.last + pace.consistency <= now;
        for touched in build.made.touched.iter_mut().filter(|touched| &touched.region == region) {
            touched.verified = asked_in_time(touched);
        }
        return;
    }
    // What has just been deleted may be seen a while longer: the next look comes after a pause.
    wants::pause(build, Step::Verify(region.clone()), now, |tries| pace.look(tries));
    build.made.orphans.extend(found);
    build.made.orphans.sort();
    build.made.orphans.dedup();
}

fn end(build: &mut Build) {
    if let Phase::Undoing(ending) = &build.phase {
        build.phase = match ending.clone() {
            Ending::Failed(reason) => Phase::Failed(reason),
            Ending::Cancelled => Phase::Cancelled,
        };
    }
    // What is remembered of a build that has ended badly: nothing of it exists.
    debug_assert!(build.made.volume.as_ref().is_none_or(|volume| volume.stage == VolumeStage::Deleted));
    debug_assert!(!matches!(build.made.job, JobStage::Running { .. }));
}
