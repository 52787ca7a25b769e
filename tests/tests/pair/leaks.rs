//! What was made in a world, and what is left in it.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use bakehouse_localcloud::http::JournalEntry;
use bakehouse_localcloud::resource::Tags;

use super::world::World;

impl World {
    /// That EC2 made one volume, one snapshot, one image and so many copies of it for each of these builds, and nothing
    /// else: not one more, whoever asked how often, and whether it is still there or not.
    #[track_caller]
    pub(crate) fn made_once(&self, builds: &[&str], copies: usize) {
        let calls = self.ec2.calls();
        for (action, each) in [("CreateVolume", 1), ("CreateSnapshot", 1), ("RegisterImage", 1), ("CopyImage", copies)]
        {
            let performed: Vec<&JournalEntry> =
                calls.iter().filter(|call| call.action == action && call.performed).collect();
            for build in builds {
                let own = performed.iter().filter(|call| call.parameters.values().any(|value| value == build));
                assert_eq!(made(own.copied()), each, "{action} for {build}\n{}", self.words());
            }
            assert_eq!(made(performed.into_iter()), each * builds.len(), "{action}\n{}", self.words());
        }
        let everything = self.cloud.everything().unwrap();
        for build in builds {
            let own = |tags: &Tags| tags.get("bakehouse:build").is_some_and(|of| of == build);
            let images = everything.iter().flat_map(|place| &place.images).filter(|image| own(&image.tags)).count();
            let snapshots = everything.iter().flat_map(|place| &place.snapshots).filter(|it| own(&it.tags)).count();
            assert_eq!((images, snapshots), (1 + copies, 1 + copies), "of {build}");
        }
    }

    /// What is left in EC2 beside the base and so many images, and on the host.
    #[track_caller]
    pub(crate) fn nothing_left(&self, images: usize) {
        let everything = self.cloud.everything().unwrap();
        let volumes: Vec<_> =
            everything.iter().flat_map(|place| &place.volumes).map(|it| it.volume_id.clone()).collect();
        assert!(volumes.is_empty(), "volumes left: {volumes:?}\n{}", self.words());
        let made = |tags: &Tags| tags.contains_key("bakehouse:build");
        let found = everything.iter().flat_map(|place| &place.images).filter(|image| made(&image.tags)).count();
        assert_eq!(found, images, "images\n{}", self.words());
        let found = everything.iter().flat_map(|place| &place.snapshots).filter(|it| made(&it.tags)).count();
        assert_eq!(found, images, "snapshots\n{}", self.words());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ours = self.dir.path().to_str().unwrap();
        let mounts: Vec<&str> = mounts.lines().filter(|line| line.contains(ours)).collect();
        assert!(mounts.is_empty(), "mounts left: {mounts:#?}");
    }
}

/// How many things came of calls that were performed: one of all that have the same token, one of each that has none.
fn made<'a>(calls: impl Iterator<Item = &'a JournalEntry>) -> usize {
    let each = calls.enumerate().map(|(number, call)| {
        let token = call.parameters.get("ClientToken").cloned();
        (call.region.clone(), token.unwrap_or_else(|| format!("call {number}")))
    });
    each.collect::<BTreeSet<_>>().len()
}

/// Ends what is in a control group, and removes it.
pub(crate) fn remove_cgroup(name: &str) {
    fn remove(group: &Path) {
        for entry in fs::read_dir(group).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                remove(&entry.path());
            }
        }
        let began = Instant::now();
        // The kernel takes its time to let go of what was killed.
        while fs::remove_dir(group).is_err() && began.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(20));
        }
    }
    for mount in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
        let group = Path::new(mount).join(name);
        if group.join("cgroup.kill").exists() {
            let _ = fs::write(group.join("cgroup.kill"), "1");
            remove(&group);
        }
    }
}
