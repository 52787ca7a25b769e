//! The result of a build: times, images and their disks.

use std::{os::unix::fs::MetadataExt as _, path::PathBuf};

use bakehouse_controller::mask::Mask;
use bakehouse_localcloud::{LocalCloud, disks::changed_bytes};
use bakehouse_machine::{Build, ImageStage, Phase, SnapshotStage};
use bakehouse_protocol::{Millis, Timestamp};
use serde::Serialize;

/// The result of a build, or its state.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) build: String,
    pub(crate) outcome: &'static str,
    /// The builder's name.
    pub(crate) name: String,
    pub(crate) images: Vec<Artifact>,
    pub(crate) phases: Vec<PhaseTime>,
    /// How much of the root disk differs from the source's; from scratch: how much of it is not empty.
    pub(crate) bytes_changed: Option<u64>,
    pub(crate) milliseconds: u64,
}

/// One image.
#[derive(Debug, Serialize)]
pub(crate) struct Artifact {
    pub(crate) region: String,
    pub(crate) id: String,
    pub(crate) name: String,
    /// The raw file behind its root.
    pub(crate) disk: Option<PathBuf>,
}

/// How long a phase took.
#[derive(Debug, Serialize)]
pub(crate) struct PhaseTime {
    pub(crate) phase: &'static str,
    pub(crate) milliseconds: u64,
}

impl Summary {
    /// Returns the summary of a build.
    pub(crate) fn of(build: &Build, cloud: Option<&LocalCloud>) -> Self {
        Self {
            build: build.id.to_string(),
            outcome: outcome(build),
            name: shown(build, &build.spec.name),
            images: artifacts(build, cloud),
            phases: phases(build),
            bytes_changed: cloud.and_then(|cloud| bytes_changed(build, cloud)),
            milliseconds: duration(build).0,
        }
    }
}

/// Returns a name that the template gives, as it may be shown: without sensitive values.
pub(crate) fn shown(build: &Build, name: &str) -> String {
    Mask::new(&build.spec.sensitive).apply(name).into_owned()
}

/// `succeeded`, `failed`, `cancelled`, or the phase that it is in.
pub(crate) fn outcome(build: &Build) -> &'static str {
    build.phase.name().as_str()
}

/// From its beginning to its end, or to the last thing known of it.
pub(crate) fn duration(build: &Build) -> Millis {
    build.phase_began().since(build.accepted_at)
}

/// From its beginning to its end, or to now; of one that nobody drives any more (`left`), to the last thing known of
/// it.
pub(crate) fn duration_at(build: &Build, left: bool, now: Timestamp) -> Millis {
    if build.phase.has_ended() || left { duration(build) } else { now.since(build.accepted_at) }
}

/// How long each phase took that is over.
pub(crate) fn phases(build: &Build) -> Vec<PhaseTime> {
    let pairs = build.history.iter().zip(build.history.iter().skip(1));
    pairs
        .map(|((phase, began), (_, ended))| PhaseTime { phase: phase.as_str(), milliseconds: ended.since(*began).0 })
        .collect()
}

/// The images that exist because of it.
pub(crate) fn artifacts(build: &Build, cloud: Option<&LocalCloud>) -> Vec<Artifact> {
    let name = shown(build, &build.spec.image.name);
    let images = build.resources.images.iter().filter(|image| image.stage != ImageStage::Removed);
    let artifact = |image: &bakehouse_machine::ImageRecord| {
        let disk = |cloud: &LocalCloud| {
            let (_, found) = cloud.find_image(&image.id).ok()?;
            found.root_snapshot().map(|id| cloud.snapshot_path(id))
        };
        Artifact {
            region: image.region.to_string(),
            id: image.id.to_string(),
            name: name.clone(),
            disk: cloud.and_then(disk),
        }
    };
    images.map(artifact).collect()
}

fn bytes_changed(build: &Build, cloud: &LocalCloud) -> Option<u64> {
    if !matches!(build.phase, Phase::Succeeded) {
        return None;
    }
    let made = build.resources.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted)?;
    let disk = cloud.snapshot_path(&made.id);
    match &build.plan.as_ref()?.volume.snapshot {
        Some(source) => changed_bytes(&cloud.snapshot_path(source), &disk).ok(),
        // `st_blocks` counts in 512 bytes.
        None => Some(disk.metadata().ok()?.blocks() * 512),
    }
}

/// Returns what is left of a build that ended badly, in one line.
pub(crate) fn undone(build: &Build) -> String {
    let outcome = outcome(build);
    if build.leftovers.is_empty() {
        format!("Build {} has {}; nothing of it is left (`bakehouse show {0}` tells more)", build.id, past(outcome))
    } else {
        format!(
            "Build {} has {}, and this could not be removed: {}",
            build.id,
            past(outcome),
            build.leftovers.join(", ")
        )
    }
}

fn past(outcome: &str) -> &str {
    if outcome == "cancelled" { "been cancelled" } else { outcome }
}
