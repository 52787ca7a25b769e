//! What must hold of every run, whatever went wrong in it: promise 1 of the design, and that the images are as planned.

use bakehouse_localcloud::{
    model::RegionResources,
    resource::{Image, ImageState},
};
use bakehouse_machine::{Phase, tags::BUILD_TAG};
use bakehouse_tests::template::ACCOUNT;

use crate::{
    fates,
    parameters::{PARAMETER, PREVIOUS},
    rights,
    run::{DEPRECATE_IN, OTHER, OTHER_KEY, Run, region},
};

/// What is printed of a run that is not as it should be.
pub type Told<'a> = dyn Fn() -> String + 'a;

/// How a run ended, in the scripts' word.
pub fn ending(run: &Run) -> &'static str {
    match run.build.phase {
        Phase::Succeeded => "succeeded",
        Phase::Failed(_) => "failed",
        Phase::Cancelled => "cancelled",
        _ => "nothing",
    }
}

pub fn check(what: &str, run: &Run) {
    let told = || format!("{what}\n{}\n{:#?}", run.log.join("\n"), run.build.resources);
    fates::check(&told, run, run.build.phase == Phase::Succeeded);
    match run.build.phase {
        Phase::Succeeded => images_are_as_planned(&told, run),
        Phase::Failed(_) | Phase::Cancelled => nothing_is_left(&told, run),
        _ => panic!("it did not end: {}", told()),
    }
    assert!(run.build.leftovers.is_empty(), "it gave something up: {:?}: {}", run.build.leftovers, told());
    assert!(!run.leases_left, "it kept its lease: {}", told());
    assert!(!run.mounted, "the agent was left at work: {}", told());
    for place in &run.everything {
        assert!(place.volumes.is_empty(), "volumes left: {:?}: {}", place.volumes, told());
    }
    another_is_untouched(&told, run);
    rights::suffice(&told, run);
    let calls = run.calls.iter().filter(|call| *call == "RegisterImage").count();
    // A name that was given up is not free at once.
    let most = if run.script.replaces { 40 } else { 4 };
    assert!(calls <= most, "RegisterImage was called {calls} times: {}", told());
}

/// A snapshot that the build did not make is neither tagged nor removed, whatever becomes of the build.
fn another_is_untouched(told: &Told<'_>, run: &Run) {
    let Some(another) = &run.another else { return };
    let mut all = run.everything.iter().flat_map(|place| &place.snapshots);
    let found = all.find(|snapshot| &snapshot.snapshot_id == another);
    let found = found.unwrap_or_else(|| panic!("another's snapshot is gone: {}", told()));
    assert!(found.tags.is_empty(), "another's snapshot has tags: {:?}: {}", found.tags, told());
}

fn nothing_is_left(told: &Told<'_>, run: &Run) {
    let id = run.build.id.as_str();
    for place in &run.everything {
        let mut tags = place.images.iter().map(|image| &image.tags).chain(place.snapshots.iter().map(|it| &it.tags));
        assert!(
            !tags.any(|tags| tags.get(BUILD_TAG).is_some_and(|tag| tag == id)),
            "left in {}: {}",
            place.region,
            told()
        );
        let taken = run.script.name_taken.iter().filter(|taken| **taken == place.region).count();
        let base = usize::from(place.region == region("us-east-1"));
        let another = base * usize::from(run.another.is_some());
        let older = run.older.iter().filter(|older| older.region == place.region).count();
        assert_eq!(place.images.len(), base + taken + older, "images in {}: {}", place.region, told());
        assert_eq!(place.snapshots.len(), base + another + taken + older, "snapshots in {}: {}", place.region, told());
        let parameter = run.parameters.get(&(place.region.clone(), PARAMETER.to_owned()));
        let previous = (run.script.manages && base == 1).then_some(PREVIOUS);
        assert_eq!(parameter.map(String::as_str), previous, "in {}: {}", place.region, told());
    }
}

fn images_are_as_planned(told: &Told<'_>, run: &Run) {
    let (home, id) = (region("us-east-1"), run.build.id.as_str());
    let is_own = |tags: &bakehouse_localcloud::resource::Tags| tags.get(BUILD_TAG).is_some_and(|tag| tag == id);
    for place in &run.everything {
        let is_home = place.region == home;
        let stays = is_home && !run.script.skips_home || run.script.regions.contains(&place.region);
        let copied = run.script.account_copies.as_ref().is_some_and(|regions| match regions.is_empty() {
            true => stays,
            false => regions.contains(&place.region),
        });
        for (account, wanted) in [(ACCOUNT, usize::from(stays)), (OTHER, usize::from(copied))] {
            let own: Vec<_> = place.images.iter().filter(|it| it.owner_id == account && is_own(&it.tags)).collect();
            assert_eq!(own.len(), wanted, "images of {account} in {}: {}", place.region, told());
            // At home the other snapshot was there before; a copy has one of its own.
            let another = usize::from(run.another.is_some() && (account == OTHER || !is_home));
            let snapshots = place.snapshots.iter().filter(|it| it.owner_id == account && is_own(&it.tags)).count();
            assert_eq!(snapshots, wanted + wanted * another, "snapshots of {account} in {}: {}", place.region, told());
            for image in own {
                is_as_planned(told, run, place, image);
            }
        }
    }
}

fn is_as_planned(told: &Told<'_>, run: &Run, place: &RegionResources, image: &Image) {
    assert_eq!(image.name, "web-1", "{}", told());
    assert_eq!(image.state, ImageState::Available);
    assert_eq!(image.description, if run.script.scratch { "from " } else { "from base" });
    // Others may launch what stays in the account, and nobody what another account has got, or was given to copy it.
    let is_other = image.owner_id == OTHER;
    let users: &[&str] = if is_other { &[] } else { &["444455556666"] };
    assert!(image.launch_permission.users.iter().eq(users), "{:?}: {}", image.launch_permission, told());
    // Inherited, or there from scratch: without it no current instance type takes the image.
    assert!(image.ena_support, "no ENA: {}", told());
    assert_eq!(image.sriov_net_support.as_deref(), Some("simple"), "{}", told());
    let base = if run.script.scratch { "" } else { run.base.as_str() };
    let held: Vec<_> = image
        .snapshots()
        .filter(|id| Some(*id) != run.another.as_ref())
        .map(|id| place.snapshots.iter().find(|it| &it.snapshot_id == id).expect("its snapshot"))
        .collect();
    for tags in held.iter().map(|snapshot| &snapshot.tags).chain([&image.tags]) {
        assert_eq!(tags.get("base").map(String::as_str), Some(base), "{}", told());
        assert_eq!(tags.get("bakehouse:expires").map(String::as_str), Some("never"), "{}", told());
    }
    for snapshot in held {
        let key = if is_other { OTHER_KEY.to_owned() } else { format!("alias/{}", place.region) };
        let key = run.script.encrypts.then_some(key);
        assert_eq!((snapshot.encrypted, &snapshot.kms_key_id), (key.is_some(), &key), "{}", told());
        if run.script.shares {
            assert_eq!(snapshot.tags.get("from").map(String::as_str), Some(place.region.as_str()), "{}", told());
        }
        let users: &[&str] = if run.script.shares && !is_other { &["444455556666"] } else { &[] };
        assert!(snapshot.create_volume_permission.users.iter().eq(users), "{}", told());
    }
    let organizations = usize::from(run.script.shares && !is_other);
    assert_eq!(image.launch_permission.organizations.len(), organizations, "{}", told());
    if run.script.manages {
        assert_eq!(image.watermarks, [format!("{ACCOUNT}:approved")], "{}", told());
        assert!(image.is_protected(), "not protected: {}", told());
        let at = image.deprecation_time.expect("a time");
        assert_eq!(at.0.abs_diff((run.build.accepted_at + DEPRECATE_IN).0) / 60_000, 0, "{}", told());
        let parameter = run.parameters.get(&(place.region.clone(), PARAMETER.to_owned()));
        let is_named = parameter.map(String::as_str) == Some(image.image_id.as_str());
        assert_eq!(is_named, !is_other, "{parameter:?}: {}", told());
    }
    let account = is_other.then_some(OTHER);
    let mut records = run.build.resources.images.iter();
    let record = records.find(|it| it.region.region == place.region && it.region.account() == account);
    assert_eq!(record.expect("a record of it").id, image.image_id);
}
