//! Removes everything that a build has created, newest first. Each resource is removed independently, so that one that
//! can't be removed delays no other. Last comes a search by tag in every region where something was or may have been
//! created: it finds what a create command made whose result was lost.
//!
//! A failed build with [`Build::keep_failed`] ends as it is, and its leftovers name what exists.

use alloc::{boxed::Box, vec, vec::Vec};
use bakehouse_protocol::Timestamp;

use crate::{
    AccountRegion, Build, Command, CommandKey, ImageStage, JobStage, Phase, Resources, SnapshotStage, UndoReason,
    VolumeStage, advance,
    release::release,
    resources::{ParameterStage, ReplacedStage, Resource},
    schedule,
};

/// Returns the commands that are wanted now. Ends the build, or its attempt, when nothing is left.
pub(crate) fn undo(build: &mut Build, now: Timestamp) -> Vec<Command> {
    let settled = settle_in_flight(build);
    if build.keep_failed
        && let Phase::Undoing(UndoReason::Failed(reason)) = &build.phase
    {
        // Only the job is ended: what exists for certain is known when nothing is in flight any more.
        let stop = job(build);
        if !settled || stop.is_some() {
            return stop.into_iter().collect();
        }
        let left = advance::leftovers(build);
        if !left.is_empty() {
            build.phase = Phase::Failed(reason.clone());
            build.leftovers = left;
            build.in_flight.clear();
            return Vec::new();
        }
    }
    let mut wanted = images(build);
    wanted.extend(job(build));
    // The image keeps its snapshot from being deleted, the agent its volume: each is removed after the other is gone.
    let images_are_gone = build.resources.images.iter().all(|image| image.stage == ImageStage::Removed);
    if images_are_gone && build.resources.temporary.is_empty() {
        wanted.extend(snapshot(build));
    }
    if !build.resources.job.may_be_running() && !is_in_flight(build, &CommandKey::SendJob) {
        wanted.extend(volume(build));
    }
    if settled {
        wanted.extend(restore(build));
        // Ambiguous regions are searched at once: an unknown image may keep a known snapshot from being deleted.
        let only_ambiguous = !wanted.is_empty() || build.resources.lease.is_some();
        wanted.extend(orphans(build));
        wanted.extend(find_tagged(build, only_ambiguous, now));
        if wanted.is_empty() && build.in_flight.is_empty() {
            end(build);
        }
    }
    wanted
}

/// Drops the commands in flight whose results no longer matter. Returns whether none of the others remains that
/// creates, attaches or hands over something: those need their results first (if necessary by being issued again), or
/// what they did would never be known.
fn settle_in_flight(build: &mut Build) -> bool {
    let needs_result = |command: &Command| {
        command.creates_in().is_some()
            || matches!(
                command,
                Command::Lease { .. }
                    | Command::AttachVolume { .. }
                    | Command::SendJob(..)
                    | Command::DeregisterReplaced(..)
                    | Command::PutParameter { .. }
            )
    };
    let is_undo = |command: &Command| {
        matches!(
            command,
            Command::DescribeVolume(..)
                | Command::DetachVolume(..)
                | Command::DeleteVolume(..)
                | Command::DeleteSnapshot(..)
                | Command::RemoveImage(..)
                | Command::RemoveTemporary(..)
                | Command::RestoreReplaced(_)
                | Command::RestoreParameter(_)
                | Command::RemoveOrphan(_)
                | Command::Release(_)
                | Command::StopJob(_)
                | Command::FindTagged(_)
        )
    };
    build.in_flight.retain(|entry| needs_result(&entry.command) || is_undo(&entry.command));
    !build.in_flight.iter().any(|entry| needs_result(&entry.command))
}

fn is_in_flight(build: &Build, key: &CommandKey) -> bool {
    build.in_flight.iter().any(|entry| &entry.command.key() == key)
}

fn images(build: &Build) -> Vec<Command> {
    let left = build.resources.images.iter().rev().filter(|image| image.stage != ImageStage::Removed);
    let left = left.map(|image| Command::RemoveImage(image.region.clone(), image.id.clone()));
    let temporary = build.resources.temporary.iter();
    temporary.map(|image| Command::RemoveTemporary(image.region.clone(), image.id.clone())).chain(left).collect()
}

/// Puts back what the build has changed of others' things: parameters, and images that it has deregistered, once their
/// name is free.
fn restore(build: &Build) -> Vec<Command> {
    let (resources, Some(plan)) = (&build.resources, &build.plan) else { return vec![] };
    let mut wanted = vec![];
    for parameter in &plan.parameters {
        let stage = resources.parameter(&parameter.region, &parameter.name);
        if stage.is_some_and(|stage| stage != ParameterStage::Restored) {
            wanted.push(Command::RestoreParameter(parameter.clone()));
        }
    }
    for image in &plan.replaced {
        let region = &image.region;
        let is_free = resources.image_in(region).is_none_or(|image| image.stage == ImageStage::Removed)
            && resources.temporary_in(region).is_none();
        let stage = resources.replaced_in(region);
        if is_free && stage.is_some_and(|stage| stage != ReplacedStage::Restored) {
            wanted.push(Command::RestoreReplaced(Box::new(image.clone())));
        }
    }
    wanted
}

fn snapshot(build: &Build) -> Option<Command> {
    let snapshot = build.resources.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted)?;
    // An image that is being registered may use it before its id is known.
    (!is_in_flight(build, &CommandKey::RegisterImage))
        .then(|| Command::DeleteSnapshot(build.region.clone(), snapshot.id.clone()))
}

fn job(build: &Build) -> Option<Command> {
    let lease = build.resources.lease.as_ref()?;
    build.resources.job.may_be_running().then(|| Command::StopJob(lease.host.clone()))
}

fn volume(build: &Build) -> Option<Command> {
    if is_in_flight(build, &CommandKey::CreateVolume)
        || is_in_flight(build, &CommandKey::AttachVolume)
        || is_in_flight(build, &CommandKey::CreateSnapshot)
    {
        return None;
    }
    release(build, true)
}

/// Removes orphans: images first, because they keep their snapshots from being deleted.
fn orphans(build: &Build) -> Vec<Command> {
    let is_image = |orphan: &&Resource| matches!(orphan, Resource::Image(..));
    let orphans = &build.resources.orphans;
    let has_images = orphans.iter().any(|orphan| is_image(&orphan));
    orphans.iter().filter(|orphan| !has_images || is_image(orphan)).cloned().map(Command::RemoveOrphan).collect()
}

/// Searches by tag in every region, or in the ambiguous ones only. In an ambiguous region a search counts only when it
/// is late enough to see everything, so an early one is followed by another.
fn find_tagged(build: &mut Build, only_ambiguous: bool, now: Timestamp) -> Vec<Command> {
    let consistency = build.timing.consistency;
    let mut wanted = vec![];
    let mut early: Vec<(AccountRegion, Timestamp)> = vec![];
    for record in build.resources.regions.iter().filter(|record| !record.swept) {
        if only_ambiguous && !record.ambiguous {
            continue;
        }
        let from = record.last_create + consistency;
        if record.ambiguous && now < from {
            early.push((record.region.clone(), from));
        }
        wanted.push(Command::FindTagged(record.region.clone()));
    }
    for (region, from) in early {
        let key = CommandKey::FindTagged(region);
        build.backoffs.retain(|backoff| backoff.key != key);
        schedule::back_off(build, key, now, |_| from.since(now));
    }
    wanted
}

/// Records what a search by tag found.
pub(crate) fn record_tagged(build: &mut Build, region: &AccountRegion, found: Vec<Resource>, now: Timestamp) {
    let timing = build.timing.clone();
    if found.is_empty() {
        for record in build.resources.regions.iter_mut().filter(|record| &record.region == region) {
            record.swept = !record.ambiguous || record.last_create + timing.consistency <= now;
        }
        return;
    }
    // A resource that is being deleted may be visible a while longer: the next search waits.
    schedule::back_off(build, CommandKey::FindTagged(region.clone()), now, |tries| timing.poll_interval(tries));
    let unknown: Vec<_> = found.into_iter().filter(|resource| !is_being_undone(build, resource)).collect();
    build.resources.orphans.extend(unknown);
    build.resources.orphans.sort();
    build.resources.orphans.dedup();
}

/// Whether the record has this resource and it is not removed yet.
fn is_being_undone(build: &Build, resource: &Resource) -> bool {
    let resources = &build.resources;
    match resource {
        Resource::Image(region, id) => {
            resources.image_in(region).is_some_and(|image| &image.id == id && image.stage != ImageStage::Removed)
                || region.own().and_then(|region| resources.temporary_in(region)) == Some(id)
        }
        Resource::Snapshot(_, id) => {
            resources.snapshot.as_ref().is_some_and(|it| &it.id == id && it.stage != SnapshotStage::Deleted)
        }
        Resource::Volume(_, id) => {
            resources.volume.as_ref().is_some_and(|volume| &volume.id == id && volume.stage != VolumeStage::Deleted)
        }
    }
}

/// Ends the build, or starts its next attempt.
fn end(build: &mut Build) {
    if let Phase::Undoing(reason) = &build.phase {
        build.phase = match reason.clone() {
            UndoReason::Failed(reason) => Phase::Failed(reason),
            UndoReason::Cancelled => Phase::Cancelled,
            UndoReason::Restart { .. } => {
                build.attempt += 1;
                build.resources = Resources::default();
                Phase::Queued
            }
        };
    }
    // Of a build that was undone nothing exists.
    debug_assert!(build.resources.volume.as_ref().is_none_or(|volume| volume.stage == VolumeStage::Deleted));
    debug_assert!(!matches!(build.resources.job, JobStage::Running { .. }));
}
