//! The changes between two saved records.

use std::fmt;

use bakehouse_machine::{AccountRegion, Build, ImageStage, SnapshotStage, VolumeStage, build::PhaseName};
use bakehouse_protocol::{Millis, Timestamp};

/// A resource of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    /// `volume`, `snapshot` or `image`.
    pub(crate) kind: &'static str,
    /// Its id.
    pub(crate) id: String,
    /// Where it is.
    pub(crate) region: AccountRegion,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// A change of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A resource was created.
    Made(Thing),
    /// A resource was removed.
    Removed(Thing),
    /// A phase has ended.
    Ended {
        /// Which.
        phase: PhaseName,
        /// How long it was.
        took: Millis,
    },
    /// A phase has begun.
    Began {
        /// Which.
        phase: PhaseName,
        /// When.
        at: Timestamp,
    },
}

/// Returns the changes, in their order.
pub(crate) fn changes(before: &Build, after: &Build) -> Vec<Change> {
    let (old, new) = (things(before), things(after));
    let known = |list: &[(Thing, bool)], thing: &Thing| list.iter().any(|(one, _)| one == thing);
    let exists = |list: &[(Thing, bool)], thing: &Thing| list.contains(&(thing.clone(), true));
    let mut all = Vec::new();
    for (thing, _) in new.iter().filter(|(thing, _)| !known(&old, thing)) {
        all.push(Change::Made(thing.clone()));
    }
    for (thing, _) in
        new.iter().filter(|(thing, exists_now)| !exists_now && (exists(&old, thing) || !known(&old, thing)))
    {
        all.push(Change::Removed(thing.clone()));
    }
    for index in before.history.len()..after.history.len() {
        let (phase, at) = after.history[index];
        if let Some(&(last, began)) = index.checked_sub(1).and_then(|before| after.history.get(before)) {
            all.push(Change::Ended { phase: last, took: at.since(began) });
        }
        all.push(Change::Began { phase, at });
    }
    all
}

/// Returns the resources of a build, and whether each still exists.
fn things(build: &Build) -> Vec<(Thing, bool)> {
    let made = &build.resources;
    let in_region = |kind, id: &str| Thing { kind, id: id.to_owned(), region: (&build.region).into() };
    let volume = made
        .volume
        .iter()
        .map(|volume| (in_region("volume", volume.id.as_str()), volume.stage != VolumeStage::Deleted));
    let snapshot = made
        .snapshot
        .iter()
        .map(|snapshot| (in_region("snapshot", snapshot.id.as_str()), snapshot.stage != SnapshotStage::Deleted));
    let images = made.images.iter().map(|image| {
        let thing = Thing { kind: "image", id: image.id.to_string(), region: image.region.clone() };
        (thing, image.stage != ImageStage::Removed)
    });
    volume.chain(snapshot).chain(images).collect()
}

/// Returns what must still be undone before a cancelled or failed build can end.
pub(crate) fn left(build: &Build) -> Vec<String> {
    let mut left = things_left(build);
    if build.resources.job.may_be_running() {
        left.insert(0, "the provisioning in the chroot".to_owned());
    }
    left
}

/// Returns the same without the job: a killed process has none.
pub(crate) fn things_left(build: &Build) -> Vec<String> {
    let mut left = Vec::new();
    for (thing, _) in things(build).into_iter().rev().filter(|(_, exists)| *exists) {
        let Thing { kind, id, region } = &thing;
        let elsewhere = if *region == build.region { String::new() } else { format!(" in {region}") };
        left.push(format!("{kind} {id}{elsewhere}"));
    }
    if let Some(lease) = &build.resources.lease {
        left.push(format!("the device name {}", lease.device));
    }
    left
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bakehouse_machine::{
        Phase, Timing,
        build::NewBuild,
        resources::{ImageRecord, SnapshotRecord, VolumeRecord},
    };
    use bakehouse_protocol::{
        BuildId, ImageId, Region, SnapshotId, VolumeId,
        spec::{BuildSpec, Source},
    };

    pub(crate) fn a_build() -> Build {
        let spec = BuildSpec::minimal("web", Source::Scratch { size: 1 });
        let new = NewBuild {
            id: BuildId::from_parts(1, 2),
            spec,
            region: Region::new("us-east-1").unwrap(),
            recipe: "web.json".into(),
            files: "/".into(),
            bundle: None,
            timing: Timing::LOCAL,
        };
        Build::new(new, Timestamp(1000))
    }

    pub(crate) fn enter(build: &mut Build, phase: Phase, at: u64) {
        build.history.push((phase.name(), Timestamp(at)));
        build.phase = phase;
    }

    pub(crate) fn with_volume(build: &mut Build, stage: VolumeStage) {
        let id = VolumeId::new("vol-00000001").unwrap();
        build.resources.volume = Some(VolumeRecord { id, created_at: Timestamp(0), stage });
    }

    #[test]
    fn phases_passed_in_one_step_are_all_told() {
        let before = a_build();
        let mut after = before.clone();
        enter(&mut after, Phase::Resolving, 1005);
        enter(&mut after, Phase::Queued, 1025);
        assert_eq!(
            changes(&before, &after),
            [
                Change::Ended { phase: PhaseName::Accepted, took: Millis(5) },
                Change::Began { phase: PhaseName::Resolving, at: Timestamp(1005) },
                Change::Ended { phase: PhaseName::Resolving, took: Millis(20) },
                Change::Began { phase: PhaseName::Queued, at: Timestamp(1025) },
            ]
        );
        assert_eq!(changes(&after, &after), []);
    }

    fn build_region() -> AccountRegion {
        Region::new("us-east-1").unwrap().into()
    }

    #[test]
    fn a_thing_is_told_when_it_comes_and_when_it_goes() {
        let before = a_build();
        let (mut made, mut gone) = (before.clone(), before.clone());
        with_volume(&mut made, VolumeStage::Creating);
        with_volume(&mut gone, VolumeStage::Deleted);
        let thing = Thing { kind: "volume", id: "vol-00000001".into(), region: build_region() };
        assert_eq!(changes(&before, &made), [Change::Made(thing.clone())]);
        assert_eq!(changes(&made, &gone), [Change::Removed(thing.clone())]);
        assert_eq!(changes(&before, &gone), [Change::Made(thing.clone()), Change::Removed(thing)]);
        assert_eq!(changes(&gone, &gone), []);
    }

    #[test]
    fn what_is_left_is_named_newest_first_and_with_a_foreign_region() {
        let mut build = a_build();
        with_volume(&mut build, VolumeStage::Attached);
        build.resources.snapshot = Some(SnapshotRecord {
            id: SnapshotId::new("snap-00000001").unwrap(),
            created_at: Timestamp(0),
            stage: SnapshotStage::Deleted,
        });
        build.resources.images.push(ImageRecord {
            region: Region::new("eu-central-1").unwrap().into(),
            id: ImageId::new("ami-00000001").unwrap(),
            created_at: Timestamp(0),
            stage: ImageStage::Pending,
            snapshots: vec![],
            name_is_temporary: false,
        });
        assert_eq!(left(&build), ["image ami-00000001 in eu-central-1", "volume vol-00000001"]);
    }
}
