//! What a build may have left, on the machine and in the state.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{disk::sh, fixture::Fixture, wait::eventually};

impl Fixture {
    /// Takes away what would not outlive a crash of the machine.
    #[track_caller]
    pub(crate) fn only_files_stay(&self) {
        remove_all(self);
        let left = eventually(|| on_the_machine(self), BTreeSet::is_empty);
        assert!(left.is_empty(), "{left:#?}");
    }

    /// That nothing is left but the base and `images` more; also that all records can be read.
    #[track_caller]
    pub(crate) fn nothing_left(&self, images: usize) {
        let mut left = eventually(|| on_the_machine(self), BTreeSet::is_empty);
        left.extend(in_the_state(self, images));
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let left = eventually(|| on_the_machine(self), BTreeSet::is_empty);
        remove_all(self);
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind at the end: {left:#?}");
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Loop devices with a file of the test behind them, as `/dev/loop3`.
fn loops(fixture: &Fixture) -> Vec<String> {
    let ours = |name: &String| {
        let file = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap_or_default();
        Path::new(file.trim()).starts_with(fixture.path())
    };
    names(Path::new("/sys/block")).into_iter().filter(ours).map(|name| format!("/dev/{name}")).collect()
}

/// Mount points, seen by a process, that have to do with the test's files or devices.
fn mounts(fixture: &Fixture, loops: &[String], process: &str) -> Vec<PathBuf> {
    let table = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    let dir = fixture.path().to_str().unwrap();
    let ours = |line: &&str| {
        let on_ours = |word: &str| loops.iter().any(|name| word.strip_prefix(name.as_str()).is_some_and(is_partition));
        line.contains(dir) || line.split(' ').any(on_ours)
    };
    let points = table.lines().filter(ours).filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| !fixture.own_mounts.contains(point)).collect()
}

/// Of what follows a device's name: nothing, or `p2`.
fn is_partition(rest: &str) -> bool {
    rest.is_empty() || rest.strip_prefix('p').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Processes, other than this one, of which `is_ours` is true, with their arguments.
fn processes(is_ours: impl Fn(&str) -> bool) -> Vec<(i32, String)> {
    let others = names(Path::new("/proc")).into_iter().filter_map(|name| Some((name.parse().ok()?, name)));
    others
        .filter(|(pid, name): &(i32, String)| *pid != std::process::id().cast_signed() && is_ours(name))
        .map(|(pid, name)| {
            let command = fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&command).replace('\0', " "))
        })
        .collect()
}

/// Whether the test has started a process: the test's directory is in its arguments or its environment, or it is in the
/// control group of one of the test's builds.
fn was_started(fixture: &Fixture, process: &str) -> bool {
    let dir = fixture.path().to_str().unwrap().as_bytes();
    let read = |file: &str| fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
    let group = String::from_utf8_lossy(&read("cgroup")).into_owned();
    ["cmdline", "environ"].iter().any(|file| read(file).windows(dir.len()).any(|part| part == dir))
        || names(&fixture.state().join("builds")).iter().any(|build| group.contains(build))
}

/// Whether a process sees mounts of the test's in a mount namespace other than ours. It may be any process: a new
/// namespace has a copy of all present mounts.
fn sees_mounts(fixture: &Fixture, loops: &[String], process: &str) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    namespace(process).is_some_and(|other| Some(other) != namespace("self"))
        && !mounts(fixture, loops, process).is_empty()
}

/// Where the control groups are.
fn groups_root() -> Option<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = table.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// The control groups of the test's builds.
fn groups(fixture: &Fixture) -> Vec<PathBuf> {
    let Some(root) = groups_root() else { return Vec::new() };
    let of_build = |build: String| root.join("bakehouse").join(build);
    names(&fixture.state().join("builds")).into_iter().map(of_build).filter(|path| path.exists()).collect()
}

/// Everything that is left, a line for each.
fn on_the_machine(fixture: &Fixture) -> BTreeSet<String> {
    let loops = loops(fixture);
    let mut left: BTreeSet<String> = loops.iter().map(|name| format!("loop device {name}")).collect();
    left.extend(mounts(fixture, &loops, "self").iter().map(|path| format!("mount {}", path.display())));
    let is_left = |process: &str| was_started(fixture, process) || sees_mounts(fixture, &loops, process);
    left.extend(processes(is_left).iter().map(|(pid, command)| format!("process {pid}: {command}")));
    left.extend(groups(fixture).iter().map(|path| format!("cgroup {}", path.display())));
    left.extend(names(&fixture.mounts()).iter().map(|name| format!("mount point {name}")));
    left
}

/// What is in the state beside the base and `images` more.
fn in_the_state(fixture: &Fixture, images: usize) -> BTreeSet<String> {
    let mut left = BTreeSet::new();
    let state = fixture.state();
    for dir in ["run", "cloud/volumes", "cloud/by-id"] {
        left.extend(names(&state.join(dir)).iter().map(|name| format!("{dir}/{name}")));
    }
    let listed = fixture.images();
    if listed.len() != images + 1 {
        left.insert(format!("{} images instead of {}: {listed:?}", listed.len(), images + 1));
    }
    let disks: BTreeSet<String> = listed.iter().map(|image| image["disk"].as_str().unwrap().to_owned()).collect();
    let dir = state.join("cloud/snapshots");
    let files: BTreeSet<String> = names(&dir).iter().map(|name| dir.join(name).display().to_string()).collect();
    left.extend(disks.symmetric_difference(&files).map(|path| format!("{path} is in one place only")));
    left.extend(in_the_model(&state, listed.len()));
    let leases = read(&state.join("leases.json"));
    if leases["held"].as_object().is_some_and(|held| !held.is_empty()) {
        left.insert(format!("leases: {leases}"));
    }
    for build in fixture.builds() {
        let id = build["id"].as_str().unwrap();
        let shown = fixture.run(["show", id, "--json"]).exits(0).json();
        let ended = ["succeeded", "failed", "cancelled"].iter().any(|state| shown["state"] == *state);
        if !ended || shown["left"] != false || shown["not_removed"] != Value::Array(vec![]) {
            left.insert(format!("record: {shown}"));
        }
    }
    let sweep = fixture.run(["sweep"]).exits(0);
    left.extend(sweep.stdout.lines().map(|line| format!("to be swept: {line}")));
    left
}

fn read(path: &Path) -> Value {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        Err(_) => Value::Null,
    }
}

/// What the embedded cloud itself believes to exist: no volume, and one snapshot for each image.
fn in_the_model(state: &Path, images: usize) -> BTreeSet<String> {
    let mut left = BTreeSet::new();
    let mut snapshots = Vec::new();
    let model = read(&state.join("cloud/state.json"));
    for (region, all) in model["model"]["regions"].as_object().into_iter().flatten() {
        for (id, volume) in all["volumes"].as_object().into_iter().flatten() {
            if volume["gone_at"].is_null() {
                left.insert(format!("{id} in {region}"));
            }
        }
        let there = all["snapshots"].as_object().into_iter().flatten();
        snapshots.extend(there.filter(|(_, snapshot)| snapshot["deleted"] == false).map(|(id, _)| id.clone()));
    }
    if snapshots.len() != images {
        left.insert(format!("{images} images, but snapshots {snapshots:?}"));
    }
    left
}

/// Removes all of it, as far as it can.
fn remove_all(fixture: &Fixture) {
    let (loops, groups) = (loops(fixture), groups(fixture));
    for (pid, _) in processes(|process| was_started(fixture, process)) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    let mut points = mounts(fixture, &loops, "self");
    points.extend(fixture.own_mounts.iter().rev().cloned());
    for point in points.iter().rev() {
        let _ = Command::new("umount").args(["--lazy".as_ref(), point.as_os_str()]).output();
    }
    for device in self::loops(fixture) {
        let _ = Command::new("losetup").args(["--detach", &device]).output();
    }
    for group in groups {
        // What was killed in it may take a moment to be gone.
        eventually(|| fs::remove_dir(&group).is_ok() || !group.exists(), |gone| *gone);
        // Only if no other build is in it.
        let _ = group.parent().map(fs::remove_dir);
    }
}

/// The other tests rely on this search for leaks.
#[test]
fn root_every_leak_is_found_and_removed() {
    let Some(fixture) = Fixture::bare("root_every_leak_is_found_and_removed") else { return };
    assert_eq!(on_the_machine(&fixture), BTreeSet::new());
    let dir = fixture.path().display();
    let builds = fixture.state().join("builds/b-00000000-00000e2e");
    fs::create_dir_all(&builds).unwrap();
    fs::create_dir_all(fixture.mounts().join("dev/loop77")).unwrap();
    let group = groups_root().map(|root| root.join("bakehouse/b-00000000-00000e2e"));
    if let Some(group) = &group {
        fs::create_dir_all(group).unwrap();
    }
    // The disk itself is not mounted: a namespace that some process makes now would keep it in use.
    let device = sh(&format!("truncate -s 8M {dir}/disk; losetup --find --show {dir}/disk"));
    sh(&format!("mkdir {dir}/point; mount -t tmpfs point {dir}/point"));
    // One process that is found by its environment, and one that is found only by its mounts.
    let mut named = Command::new("sleep").arg("300").env("X", fixture.state()).spawn().unwrap();
    let hidden = format!("mount --bind {dir}/disk /etc/hostname; exec env -i sleep 300");
    let mut hidden = Command::new("unshare").args(["--mount", "sh", "-c", &hidden]).spawn().unwrap();
    let sleeps = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim() == "sleep";
    assert!(eventually(|| sleeps(hidden.id()) && sleeps(named.id()), |both| *both));

    let mut wanted = BTreeSet::from([
        format!("loop device {}", device.trim()),
        format!("mount {dir}/point"),
        "mount point dev".to_owned(),
        format!("process {}: sleep 300 ", named.id()),
        format!("process {}: sleep 300 ", hidden.id()),
    ]);
    wanted.extend(group.map(|group| format!("cgroup {}", group.display())));
    // More may be found: processes that have made a namespace since.
    let found = on_the_machine(&fixture);
    assert!(found.is_superset(&wanted), "{found:#?} instead of {wanted:#?}");

    remove_all(&fixture);
    hidden.kill().unwrap();
    named.wait().unwrap();
    hidden.wait().unwrap();
    fs::remove_dir_all(fixture.mounts()).unwrap();
    let found = eventually(|| on_the_machine(&fixture), |found| found.is_disjoint(&wanted));
    assert!(found.is_disjoint(&wanted), "{found:#?}");
}
