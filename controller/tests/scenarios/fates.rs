//! What must have become of the images that stood before a build.

use bakehouse_localcloud::resource::Permissions;

use crate::{
    older::{Fate, SHARED_WITH},
    run::Run,
};

/// If a build succeeds, each image has its fate; what could not be removed then is told of in a warning. If it does
/// not, there is an image of each name, of the same snapshot and for the same accounts.
pub fn check(told: &dyn Fn() -> String, run: &Run, succeeded: bool) {
    for older in &run.older {
        let place = run.everything.iter().find(|place| place.region == older.region).expect("its region");
        let snapshot = older.image.root_snapshot().expect("its snapshot");
        let has_snapshot = place.snapshots.iter().any(|it| &it.snapshot_id == snapshot);
        let named: Vec<_> = place.images.iter().filter(|it| it.name == older.image.name).collect();
        let stands = named.iter().any(|it| it.root_snapshot() == Some(snapshot));
        let (image, snapshot) = match older.fate {
            Fate::Replaced(deleted) if succeeded => (false, !deleted),
            Fate::Retired if succeeded => (false, false),
            _ => (true, true),
        };
        // A snapshot that EC2 says does not exist is gone, as far as anybody can know.
        let is_excused = succeeded && (run.is_told_of_nothing || !run.build.warnings.is_empty());
        assert!(stands == image || stands && is_excused, "{older:?} stands: {stands}: {}", told());
        assert!(has_snapshot == snapshot || has_snapshot && is_excused, "{older:?} has no snapshot: {}", told());
        if stands {
            let users = Permissions { users: [SHARED_WITH.to_owned()].into(), ..Permissions::default() };
            assert_eq!(named[0].launch_permission, users, "{}", told());
        }
    }
}
