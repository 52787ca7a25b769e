//! Copies that other accounts own: shared first, made, and no longer shared.

use alloc::{string::String, vec, vec::Vec};
use bakehouse_protocol::{ImageId, SnapshotId, Timestamp};

use super::fixtures::{build, next, other_account, plan, region};
use crate::{
    AccountRegion, Build, Command, CommandKey, Event, Fault, FaultKind, ImageRecord, ImageStage, Output, Phase,
    event::ImageStatus,
};

const NOW: Timestamp = Timestamp(86_400_000);

fn image(region: impl Into<AccountRegion>, id: &str, stage: ImageStage) -> ImageRecord {
    let snapshots = vec![SnapshotId::new(id.replace("ami-", "snap-")).unwrap()];
    let (region, id) = (region.into(), ImageId::new(id).unwrap());
    ImageRecord { region, id, created_at: Timestamp(0), stage, snapshots, name_is_temporary: false }
}

/// A build whose image is registered, with a copy for another account only.
fn copying() -> Build {
    let mut build = build();
    build.spec.image.users = vec!["777788889999".into()];
    let mut plan = plan();
    plan.copies = vec![other_account()];
    plan.regions.insert(other_account(), plan.in_region(&(&region()).into()));
    build.plan = Some(plan);
    build.phase = Phase::Copying;
    build.history.push((build.phase.name(), NOW));
    build.resources.images = vec![image(region(), "ami-01234567", ImageStage::Available)];
    build
}

fn ok(key: CommandKey, output: Output) -> Event {
    Event::Result { key, outcome: Ok(output) }
}

/// Performs a command that is issued alone.
fn after(build: &Build, key: CommandKey, output: Output) -> (Build, Vec<String>) {
    next(build, ok(key, output), NOW)
}

#[test]
fn the_image_is_shared_before_it_is_copied_and_not_after() {
    let (sharing, commands) = next(&copying(), Event::Tick, NOW);
    assert_eq!(commands, ["share ami-01234567 with 444455556666"]);
    let (copying, commands) = after(&sharing, CommandKey::ShareImage, Output::Done);
    assert_eq!(commands, ["copy ami-01234567 to us-east-1 of account 444455556666"]);
    let Command::CopyImage(copy) = &copying.in_flight[0].command else { panic!("{:?}", copying.in_flight) };
    let token = copy.request.client_token.as_deref().unwrap();
    assert!(token.ends_with("-us-east-1-444455556666") && token.len() <= 64, "{token}");
    let id = ImageId::new("ami-89abcdef").unwrap();
    let (copied, _) = after(&copying, CommandKey::CopyImage(other_account()), Output::ImageCreated(id));
    let (described, commands) = next(&copied, Event::CheckNow, NOW);
    assert_eq!(commands, ["describe ami-89abcdef in us-east-1 of account 444455556666"]);
    let available = Output::ImageDescribed(ImageStatus::Available(vec![SnapshotId::new("snap-89abcdef").unwrap()]));
    let (finishing, commands) = after(&described, CommandKey::DescribeImage(other_account()), available);
    assert_eq!(commands, ["stop sharing ami-01234567 with 444455556666"]);
    let snapshots = &finishing.resources.image_in(&other_account()).unwrap().snapshots;
    assert_eq!(snapshots[0].as_str(), "snap-89abcdef", "of a copy all are the build's");
    let (publishing, commands) = after(&finishing, CommandKey::UnshareImage, Output::Done);
    assert_eq!(
        commands,
        ["publish ami-01234567 in us-east-1", "publish ami-89abcdef in us-east-1 of account 444455556666"]
    );
    let shared: Vec<usize> = publishing.in_flight.iter().map(|entry| users(&entry.command)).collect();
    assert_eq!(shared, [1, 0], "with whom the other account shares its copy is its own concern");
}

fn users(command: &Command) -> usize {
    let Command::PublishImage(publish) = command else { panic!("{command}") };
    publish.users.len()
}

#[test]
fn an_image_that_was_shared_moments_ago_may_not_be_visible_yet() {
    let (sharing, _) = next(&copying(), Event::Tick, NOW);
    let (copying, _) = after(&sharing, CommandKey::ShareImage, Output::Done);
    let not_found = |build: &Build, at: Timestamp| {
        let fault = Fault::new(FaultKind::NotFound, "CopyImage: no such image");
        next(build, Event::Result { key: CommandKey::CopyImage(other_account()), outcome: Err(fault) }, at).0
    };
    assert_eq!(not_found(&copying, NOW).phase, Phase::Copying);
    let later = NOW + copying.timing.consistency;
    assert!(matches!(not_found(&copying, later).phase, Phase::Undoing(_)));
}

#[test]
fn the_copy_is_removed_by_its_role_and_looked_for_by_tag() {
    let mut build = copying();
    build.resources.images.push(image(other_account(), "ami-89abcdef", ImageStage::Pending));
    build.resources.record_create(&other_account(), Timestamp(0));
    let (undoing, commands) = next(&build, Event::Cancel, NOW);
    assert!(
        commands.iter().any(|it| it == "remove ami-89abcdef from us-east-1 of account 444455556666"),
        "{commands:?}"
    );
    assert!(commands.iter().any(|it| it == "remove ami-01234567 from us-east-1"), "{commands:?}");
    let (removed, _) = after(&undoing, CommandKey::RemoveImage(other_account()), Output::Done);
    let (_, commands) = after(&removed, CommandKey::RemoveImage(region().into()), Output::Done);
    assert_eq!(commands, ["find tagged in us-east-1 of account 444455556666"]);
}

#[test]
fn what_stays_of_a_kept_build_says_with_whom_it_is_shared() {
    let mut build = copying();
    build.keep_failed = true;
    let (sharing, _) = next(&build, Event::Tick, NOW);
    let (shared, _) = after(&sharing, CommandKey::ShareImage, Output::Done);
    let fault = Fault::new(FaultKind::Permanent, "refused");
    let refused = Event::Result { key: CommandKey::CopyImage(other_account()), outcome: Err(fault) };
    let (failed, _) = next(&shared, refused, NOW);
    assert_eq!(
        failed.leftovers,
        ["image ami-01234567 in us-east-1 (it and its snapshots are shared with 444455556666)"]
    );
}
