//! Saved records, old and new.

use alloc::{borrow::ToOwned, format, vec};
use bakehouse_protocol::Timestamp;

use super::fixtures::build;
use crate::{
    Build, Command, CommandKey, FailingCommand, Fault, FaultKind, JobStage, Phase, UndoReason,
    build::{Backoff, InFlight},
    resources::Resource,
};

/// `record.json` shows readers the record of a finished build.
#[test]
fn the_sample_record_has_the_current_format() {
    let text = include_str!("../../record.json");
    let build: Build = serde_json::from_str(text).unwrap();
    assert!(build.phase.has_ended() && build.resources.images.len() == 2);
    let shown: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&build).unwrap(), shown, "no field is missing, and none is old");
}

/// The names that fields had in earlier records.
const OLD_FIELDS: [(&str, &str); 27] = [
    ("timing", "pace"),
    ("resources", "made"),
    ("in_flight", "open"),
    ("backoffs", "pauses"),
    ("leftovers", "left"),
    ("key", "step"),
    ("regions", "touched"),
    ("last_create", "last"),
    ("ambiguous", "in_doubt"),
    ("swept", "verified"),
    ("created_at", "made_at"),
    ("last_report", "heard"),
    ("poll_min", "look_first"),
    ("poll_max", "look_most"),
    ("poll_delay", "settle"),
    ("copy_poll_delay", "settle_data"),
    ("retry_min", "retry_first"),
    ("retry_max", "retry_most"),
    ("create_timeout", "grace"),
    ("command_timeout", "again"),
    ("disk_timeout", "disk"),
    ("lease_duration", "lease"),
    ("max_attempts", "attempts"),
    ("provisioning_timeout", "provisioning"),
    ("copying_timeout", "copying"),
    ("phase_timeout", "phase"),
    ("message", "why"),
];

/// The names that variants had in earlier records.
const OLD_VARIANTS: [(&str, &str); 6] = [
    ("describe_volume", "see_volume"),
    ("describe_snapshot", "see_snapshot"),
    ("find_tagged", "verify"),
    ("remove_orphan", "remove"),
    ("restart", "again"),
    ("permanent", "refused"),
];

/// Records that were saved before fields and variants were renamed.
#[test]
fn records_with_old_names_can_be_read() {
    let mut build: Build = serde_json::from_str(include_str!("../../record.json")).unwrap();
    let volume = build.resources.volume.as_ref().unwrap().id.clone();
    let (region, now) = (build.region.clone(), Timestamp(1));
    let orphan = Resource::Volume((&region).into(), volume.clone());
    build.phase = Phase::Undoing(UndoReason::Restart { message: "the host was lost".into() });
    build.resources.job = JobStage::Running { last_report: now };
    let commands = [Command::DescribeVolume(region.clone(), volume), Command::RemoveOrphan(orphan)];
    build.in_flight = commands.map(|command| InFlight { command, since: now }).into();
    let keys = [CommandKey::DescribeSnapshot, CommandKey::FindTagged(region.into())];
    build.backoffs = keys.map(|key| Backoff { key, tries: 1, until: now }).into();
    let mut saved = serde_json::to_value(&build).unwrap();
    // The spec and the plan have fields of the same names, which were never renamed.
    let (spec, plan) = (saved["spec"].take(), saved["plan"].take());
    rename_fields(&mut saved);
    (saved["spec"], saved["plan"]) = (spec, plan);
    // A failing command has no renamed field but its key, and its fault still has a message.
    let fault = Fault::new(FaultKind::Permanent, "no permission");
    let key = CommandKey::DescribeSnapshot;
    build.failing = vec![FailingCommand { key, fault, times: 1, since: now, last: now }];
    let mut failing = serde_json::to_value(&build.failing).unwrap();
    let failing_key = failing[0].as_object_mut().unwrap().remove("key").unwrap();
    failing[0]["step"] = failing_key;
    saved["failing"] = failing;
    let mut text = serde_json::to_string(&saved).unwrap();
    for (now, before) in OLD_VARIANTS {
        let renamed = text.replace(&format!("\"{now}\""), &format!("\"{before}\""));
        assert_ne!(renamed, text, "{now} is in the record");
        text = renamed;
    }
    assert_eq!(serde_json::from_str::<Build>(&text).unwrap(), build);
}

/// Renames each field of a value that was renamed since back to its old name.
fn rename_fields(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, mut field) in core::mem::take(fields) {
                rename_fields(&mut field);
                let old = OLD_FIELDS.iter().find(|(now, _)| *now == name).map_or(name.as_str(), |(_, before)| *before);
                fields.insert(old.to_owned(), field);
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(rename_fields),
        _ => {}
    }
}

#[test]
fn a_record_without_failing_commands_can_be_read() {
    let mut record = serde_json::to_value(build()).unwrap();
    assert!(record.as_object_mut().unwrap().remove("failing").is_some());
    assert_eq!(serde_json::from_value::<Build>(record).unwrap(), build());
}
