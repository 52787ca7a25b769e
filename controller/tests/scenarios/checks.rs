//! What must hold of every run, whatever went wrong in it: promise 1 of the design, and that the images are as planned.

use bakehouse_localcloud::resource::ImageState;
use bakehouse_machine::{Phase, advance::BUILD_TAG};

use crate::{
    rights,
    run::{Run, region},
};

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
    assert!(calls <= 4, "RegisterImage was called {calls} times: {}", told());
}

/// A snapshot that the build did not make is neither tagged nor removed, whatever becomes of the build.
fn another_is_untouched(told: &impl Fn() -> String, run: &Run) {
    let Some(another) = &run.another else { return };
    let mut all = run.everything.iter().flat_map(|place| &place.snapshots);
    let found = all.find(|snapshot| &snapshot.snapshot_id == another);
    let found = found.unwrap_or_else(|| panic!("another's snapshot is gone: {}", told()));
    assert!(found.tags.is_empty(), "another's snapshot has tags: {:?}: {}", found.tags, told());
}

fn nothing_is_left(told: &impl Fn() -> String, run: &Run) {
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
        assert_eq!(place.images.len(), base + taken, "images in {}: {}", place.region, told());
        assert_eq!(place.snapshots.len(), base + another + taken, "snapshots in {}: {}", place.region, told());
    }
}

fn images_are_as_planned(told: &impl Fn() -> String, run: &Run) {
    let home = region("us-east-1");
    for place in &run.everything {
        let wanted = usize::from(place.region == home || run.script.regions.contains(&place.region));
        let own: Vec<_> = place.images.iter().filter(|image| image.image_id != run.base).collect();
        assert_eq!(own.len(), wanted, "images in {}: {}", place.region, told());
        let base = usize::from(place.region == home);
        let another = usize::from(run.another.is_some());
        // At home the other snapshot was there before; a copy has one of its own.
        assert_eq!(
            place.snapshots.len(),
            wanted + base + wanted * another,
            "snapshots in {}: {}",
            place.region,
            told()
        );
        for image in own {
            assert_eq!(image.name, "web-1");
            assert_eq!(image.state, ImageState::Available);
            assert_eq!(image.description, if run.script.scratch { "from " } else { "from base" });
            assert!(image.launch_permission.users.contains("444455556666"), "not shared: {}", told());
            // Inherited, or there from scratch: without it no current instance type takes the image.
            assert!(image.ena_support, "no ENA: {}", told());
            assert_eq!(image.sriov_net_support.as_deref(), Some("simple"), "{}", told());
            let base = if run.script.scratch { "" } else { run.base.as_str() };
            let held = image.snapshots().filter(|id| Some(*id) != run.another.as_ref());
            let snapshot = |id| place.snapshots.iter().find(|it| &it.snapshot_id == id).expect("its snapshot");
            for tags in held.map(|id| &snapshot(id).tags).chain([&image.tags]) {
                assert_eq!(tags.get("base").map(String::as_str), Some(base), "{}", told());
                assert_eq!(tags.get("bakehouse:expires").map(String::as_str), Some("never"), "{}", told());
                assert_eq!(tags.get(BUILD_TAG).map(String::as_str), Some(run.build.id.as_str()), "{}", told());
            }
            let record = run.build.resources.image_in(&place.region).expect("a record of it");
            assert_eq!(record.id, image.image_id);
        }
    }
}
