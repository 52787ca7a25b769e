use bakehouse_machine::{
    Timing,
    build::{NewBuild, Phase},
    resources::{ImageRecord, ImageStage, SnapshotRecord, SnapshotStage, VolumeRecord, VolumeStage},
};
use bakehouse_protocol::{BuildSpec, ImageId, Region, SnapshotId, VolumeId, spec};

use super::*;

fn build() -> Build {
    let region = Region::new("us-east-1").unwrap();
    let spec = BuildSpec::minimal("web {{timestamp}}", spec::Source::Scratch { size: 1 });
    let id = BuildId::from_parts(1, 2);
    let (recipe, files) = ("web.json".to_owned(), "/templates".to_owned());
    Build::new(NewBuild { id, spec, region, recipe, files, bundle: None, timing: Timing::AWS }, Timestamp(5))
}

/// Returns the item that an update creates.
fn written(update: &Update) -> Item {
    update.values().into_iter().map(|(name, value)| (name[1..].to_owned(), value)).collect()
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let build = build();
    let item = written(&encode(&build, Version(7)).unwrap());
    assert_eq!(decode(&item).unwrap(), (build, Version(7)));
}

#[test]
fn a_record_of_another_format_is_refused_before_it_is_read() {
    let mut item = written(&encode(&build(), Version(7)).unwrap());
    item.insert("format".to_owned(), n(2));
    item.insert("record".to_owned(), s("something else"));
    assert_eq!(decode(&item).unwrap_err().to_string(), "it is of format 2, and this program knows 1");
}

#[test]
fn a_long_record_is_compressed_and_takes_the_place_of_the_plain_one() {
    let mut build = build();
    build.leftovers = (0..40_000).map(|n| format!("line {n}")).collect();
    let update = encode(&build, Version(1)).unwrap();
    assert!(update.expression().ends_with("#record"), "the plain one is removed: {}", update.expression());
    let item = written(&update);
    assert!(item.contains_key("record_gz") && !item.contains_key("record"));
    assert_eq!(decode(&item).unwrap().0, build);
}

#[test]
fn a_record_that_is_too_large_is_refused_with_its_size() {
    // Digits that can't be compressed to less than half.
    let mut seed = 1u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{seed:016x}")
    };
    let mut build = build();
    build.leftovers = (0..60_000).map(|_| noise()).collect();
    let why = encode(&build, Version(1)).unwrap_err().to_string();
    assert!(
        why.starts_with("it is ") && why.ends_with(" kB even compressed, and an item of the table holds 384 kB"),
        "{why}"
    );
}

#[test]
fn the_ids_of_resources_are_listed_once_each() {
    let mut build = build();
    assert!(!written(&encode(&build, Version(1)).unwrap()).contains_key("resources"), "no empty set");
    let volume = VolumeId::new("vol-01234567").unwrap();
    let snapshot = SnapshotId::new("snap-01234567").unwrap();
    let image = ImageId::new("ami-01234567").unwrap();
    let at = Timestamp(1);
    build.resources.volume = Some(VolumeRecord { id: volume, created_at: at, stage: VolumeStage::Creating });
    build.resources.snapshot =
        Some(SnapshotRecord { id: snapshot.clone(), created_at: at, stage: SnapshotStage::Pending });
    let (region, stage, snapshots) = (build.region.clone().into(), ImageStage::Pending, vec![snapshot]);
    let name_is_temporary = false;
    build.resources.images =
        vec![ImageRecord { region, id: image, created_at: at, stage, snapshots, name_is_temporary }];
    let item = written(&encode(&build, Version(1)).unwrap());
    assert_eq!(item::texts(&item, "resources").unwrap(), ["ami-01234567", "snap-01234567", "vol-01234567"]);
}

#[test]
fn only_a_record_of_an_ended_build_expires() {
    let mut build = build();
    let item = written(&encode(&build, Version(1)).unwrap());
    assert!(!item.contains_key("expires"));
    assert_eq!(item::text(&item, "state"), Ok("running"));
    build.phase = Phase::Cancelled;
    build.history.push((build.phase.name(), Timestamp(60_000)));
    let item = written(&encode(&build, Version(1)).unwrap());
    assert_eq!(item::text(&item, "state"), Ok("ended"));
    assert_eq!(item::number(&item, "expires"), Ok(60 + 90 * 24 * 60 * 60));
}

#[test]
fn a_save_leaves_the_tick_alone() {
    let update = encode(&build(), Version(1)).unwrap();
    assert!(!update.expression().contains("tick_at"));
}
