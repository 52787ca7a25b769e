//! The result of a build: times, images and their disks.

use std::{os::unix::fs::MetadataExt as _, path::PathBuf};

use bakehouse_controller::mask::Mask;
use bakehouse_localcloud::{LocalCloud, disks::changed_bytes};
use bakehouse_machine::{AccountRegion, Build, ImageStage, Phase, SnapshotStage};
use bakehouse_protocol::{BuildSpec, Millis, Timestamp};
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
    /// What went wrong after the images stood, or of what they replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Artifact {
    pub(crate) region: String,
    /// The account that owns it; absent: the build's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    pub(crate) id: String,
    pub(crate) name: String,
    /// The raw file behind its root.
    pub(crate) disk: Option<PathBuf>,
}

impl Artifact {
    /// Returns its region, and its account if that is not the build's own.
    pub(crate) fn place(&self) -> String {
        AccountRegion::describe(&self.region, self.account.as_deref())
    }
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
            warnings: build.warnings.clone(),
        }
    }
}

/// Returns the builder's name for output.
pub(crate) fn display_name(spec: &BuildSpec) -> &str {
    if spec.display_name.is_empty() { &spec.name } else { &spec.display_name }
}

/// Returns the lines that scripts look for, in Packer's words: the snapshot, the image, the image of each region. One
/// of several builds has its name in them.
pub(crate) fn result_lines(build: &Build, several: Option<&str>) -> Vec<String> {
    let resources = &build.resources;
    let prefix = several.map_or_else(String::new, |name| format!("==> {name}: "));
    let mut lines = Vec::new();
    if let Some(snapshot) = resources.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted) {
        lines.push(format!("{prefix}Snapshot ID: {}", snapshot.id));
    }
    let images = artifacts(build, None);
    if let Some(image) = images.iter().find(|image| image.account.is_none() && image.region == build.region.as_str()) {
        lines.push(format!("{prefix}AMI: {}", image.id));
    }
    if let Some(name) = several.filter(|_| !images.is_empty()) {
        lines.push(format!("--> {name}: AMIs were created:"));
    }
    lines.extend(images.iter().map(|image| format!("{}: {}", image.place(), image.id)));
    lines
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
            region: image.region.region.to_string(),
            account: image.region.account().map(str::to_owned),
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
    } else if build.keep_failed {
        let left = build.leftovers.join(", ");
        format!("Build {0} has failed, and this was left: {left}; `bakehouse cancel {0}` removes it", build.id)
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

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_machine::{
        Timing,
        build::NewBuild,
        resources::{ImageRecord, SnapshotRecord},
    };
    use bakehouse_protocol::{BuildId, ImageId, Region, SnapshotId, spec::Source};

    fn region(name: &str) -> Region {
        Region::new(name).unwrap()
    }

    #[test]
    fn the_results_are_in_packers_words() {
        let new = NewBuild {
            id: BuildId::from_parts(1, 2),
            spec: BuildSpec::minimal("web", Source::Scratch { size: 1 }),
            region: region("us-east-1"),
            recipe: "web.json".into(),
            files: "/".into(),
            bundle: None,
            timing: Timing::LOCAL,
        };
        let created_at = Timestamp(0);
        let mut build = Build::new(new, created_at);
        assert_eq!(result_lines(&build, Some("web")), Vec::<String>::new());
        let id = SnapshotId::new("snap-00000001").unwrap();
        build.resources.snapshot = Some(SnapshotRecord { id, created_at, stage: SnapshotStage::Completed });
        let role = Some("arn:aws:iam::444455556666:role/images".parse().unwrap());
        let other = AccountRegion { role, region: region("us-east-1") };
        let regions = [other, region("us-east-1").into(), region("eu-west-1").into()];
        for (region, id) in regions.into_iter().zip(["ami-00000003", "ami-00000001", "ami-00000002"]) {
            let id = ImageId::new(id).unwrap();
            let image = ImageRecord {
                region,
                id,
                created_at,
                stage: ImageStage::Available,
                snapshots: vec![],
                name_is_temporary: false,
            };
            build.resources.images.push(image);
        }
        let regions =
            ["us-east-1 of account 444455556666: ami-00000003", "us-east-1: ami-00000001", "eu-west-1: ami-00000002"];
        assert_eq!(
            result_lines(&build, None),
            [&["Snapshot ID: snap-00000001", "AMI: ami-00000001"][..], &regions].concat()
        );
        let named =
            ["==> web: Snapshot ID: snap-00000001", "==> web: AMI: ami-00000001", "--> web: AMIs were created:"];
        assert_eq!(result_lines(&build, Some("web")), [&named[..], &regions].concat());
    }
}
