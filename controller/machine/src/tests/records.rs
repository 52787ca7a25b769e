//! Records as they are saved.

use alloc::{borrow::ToOwned, vec};
use bakehouse_protocol::Timestamp;

use super::fixtures::build;
use crate::{
    Build, Command, Step,
    build::{Backoff, InFlight},
};

/// `record.json` is there for readers, as a finished build's record is saved.
#[test]
fn the_sample_record_is_a_record() {
    let text = include_str!("../../record.json");
    let build: Build = serde_json::from_str(text).unwrap();
    assert!(build.phase.has_ended() && build.resources.images.len() == 2);
    let shown: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&build).unwrap(), shown, "no field is missing, and none is old");
}

/// Records that were saved before fields and steps had their present names can still be read.
#[test]
fn records_with_the_names_of_before_are_read() {
    let mut build: Build = serde_json::from_str(include_str!("../../record.json")).unwrap();
    let volume = build.resources.volume.as_ref().unwrap().id.clone();
    let region = build.region.clone();
    build.in_flight = vec![InFlight { command: Command::DescribeVolume(region, volume), since: Timestamp(1) }];
    build.backoffs = vec![Backoff { step: Step::DescribeSnapshot, tries: 1, until: Timestamp(2) }];
    let mut saved = serde_json::to_value(&build).unwrap();
    let rename = |object: &mut serde_json::Value, now: &str, before: &str| {
        let object = object.as_object_mut().unwrap();
        let value = object.remove(now).unwrap();
        object.insert(before.to_owned(), value);
    };
    rename(&mut saved["resources"]["regions"][0], "swept", "verified");
    rename(&mut saved["resources"], "regions", "touched");
    for (now, before) in [("timing", "pace"), ("resources", "made"), ("in_flight", "open"), ("backoffs", "pauses")] {
        rename(&mut saved, now, before);
    }
    let text = serde_json::to_string(&saved).unwrap();
    assert!(text.contains("\"describe_volume\"") && text.contains("\"describe_snapshot\""));
    let text = text.replace("\"describe_", "\"see_");
    assert_eq!(serde_json::from_str::<Build>(&text).unwrap(), build);
}

#[test]
fn a_record_of_before_is_read() {
    let mut record = serde_json::to_value(build()).unwrap();
    assert!(record.as_object_mut().unwrap().remove("failing").is_some());
    assert_eq!(serde_json::from_value::<Build>(record).unwrap(), build());
}
