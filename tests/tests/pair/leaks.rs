//! Checks of what a stack has created, and of what is left.

use std::{collections::BTreeSet, fs};

use bakehouse_localcloud::http::JournalEntry;
use bakehouse_localcloud::resource::Tags;

use super::fixture::Fixture;

impl Fixture {
    /// Asserts that EC2 has created one volume, one snapshot, one image and `copies` copies of it for each of these
    /// builds and nothing else, counting what was deleted since.
    #[track_caller]
    pub(crate) fn made_once(&self, builds: &[&str], copies: usize) {
        let calls = self.ec2.calls();
        for (action, each) in [("CreateVolume", 1), ("CreateSnapshot", 1), ("RegisterImage", 1), ("CopyImage", copies)]
        {
            let performed: Vec<&JournalEntry> =
                calls.iter().filter(|call| call.action == action && call.performed).collect();
            for build in builds {
                let own = performed.iter().filter(|call| call.parameters.values().any(|value| value == build));
                assert_eq!(made(own.copied()), each, "{action} for {build}\n{}", self.logs());
            }
            assert_eq!(made(performed.into_iter()), each * builds.len(), "{action}\n{}", self.logs());
        }
        let everything = self.cloud.everything().unwrap();
        for build in builds {
            let own = |tags: &Tags| tags.get("bakehouse:build").is_some_and(|of| of == build);
            let images = everything.iter().flat_map(|place| &place.images).filter(|image| own(&image.tags)).count();
            let snapshots = everything.iter().flat_map(|place| &place.snapshots).filter(|it| own(&it.tags)).count();
            assert_eq!((images, snapshots), (1 + copies, 1 + copies), "of {build}");
        }
    }

    /// Asserts that nothing is left on the host, nor in EC2 beside the base and `images` images.
    #[track_caller]
    pub(crate) fn nothing_left(&self, images: usize) {
        let everything = self.cloud.everything().unwrap();
        let volumes: Vec<_> =
            everything.iter().flat_map(|place| &place.volumes).map(|it| it.volume_id.clone()).collect();
        assert!(volumes.is_empty(), "volumes left: {volumes:?}\n{}", self.logs());
        let made = |tags: &Tags| tags.contains_key("bakehouse:build");
        let found = everything.iter().flat_map(|place| &place.images).filter(|image| made(&image.tags)).count();
        assert_eq!(found, images, "images\n{}", self.logs());
        let found = everything.iter().flat_map(|place| &place.snapshots).filter(|it| made(&it.tags)).count();
        assert_eq!(found, images, "snapshots\n{}", self.logs());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ours = self.dir.path().to_str().unwrap();
        let mounts: Vec<&str> = mounts.lines().filter(|line| line.contains(ours)).collect();
        assert!(mounts.is_empty(), "mounts left: {mounts:#?}");
    }
}

/// The number of resources that performed calls have created: one for all calls with the same token, one for each
/// call without.
fn made<'a>(calls: impl Iterator<Item = &'a JournalEntry>) -> usize {
    let each = calls.enumerate().map(|(number, call)| {
        let token = call.parameters.get("ClientToken").cloned();
        (call.region.clone(), token.unwrap_or_else(|| format!("call {number}")))
    });
    each.collect::<BTreeSet<_>>().len()
}
