//! The pipeline on a host that only remembers: each phase that fails undoes exactly what came before it.

use std::{cell::RefCell, fs, io::Write, os::unix::fs::symlink, path::PathBuf};

use bakehouse_protocol::{
    BuildId, DeferredTemplate, HostId, Job, Millis, ReportBody, RunData, VERSION, VolumeId,
    spec::{Action, ChrootSpec, Provisioner, Script, Shell, SourceFile, Upload, Virtualization},
};

use super::*;
use crate::{Settings, host::fake::Fake};

struct Scene {
    dir: tempfile::TempDir,
    job: Job,
    settings: Settings,
}

/// A job of one step, for tests that need one.
pub(crate) fn job() -> Job {
    Scene::new().job
}

impl Scene {
    /// A disk that is ext4 by its superblock, and a directory that plays the mounted root.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let mut file = fs::File::create(&disk).unwrap();
        file.set_len(1 << 30).unwrap();
        let mut superblock = vec![0; 1080];
        superblock.extend([0x53, 0xef]);
        superblock.resize(1024 + 96, 0);
        superblock.push(0x40);
        file.write_all(&superblock).unwrap();
        symlink(&disk, dir.path().join("nvme-Amazon_Elastic_Block_Store_vol01234567")).unwrap();
        for made in ["root/etc", "root/tmp", "root/dev/pts", "job"] {
            fs::create_dir_all(dir.path().join(made)).unwrap();
        }
        let deferred = |text: &str| DeferredTemplate(text.to_owned());
        let shell = Shell {
            scripts: vec![Script::Inline(vec![deferred("echo {{.SourceAMIName}}")])],
            environment: vec![],
            valid_exit_codes: vec![0],
        };
        let step = Provisioner { pause_before: None, timeout: None, max_retries: 0, action: Action::Shell(shell) };
        let mut settings = Settings::new(HostId::new("h").unwrap());
        settings.by_id = vec![dir.path().into()];
        settings.sys_root = dir.path().join("none");
        let job = Job {
            version: VERSION,
            build: BuildId::from_parts(1, 2),
            attempt: 1,
            volume: VolumeId::new("vol-01234567").unwrap(),
            volume_size: 1,
            grow: false,
            from_scratch: false,
            virtualization: Virtualization::Hvm,
            chroot: ChrootSpec {
                device_path: None,
                mount_path: deferred(&format!("{}/root", dir.path().display())),
                mount_partition: None,
                mount_options: vec![],
                pre_mount_commands: vec![deferred("pre {{.Device}}")],
                post_mount_commands: vec![],
                chroot_mounts: None,
                copy_files: Some(vec!["/etc/passwd".to_owned()]),
                command_wrapper: deferred("{{.Command}}"),
            },
            provisioners: vec![step],
            data: RunData { source_ami_name: "base".to_owned(), ..RunData::default() },
            files: String::new(),
            bundle: None,
            disk_deadline: Millis(50),
            heartbeat: Millis(1000),
            sensitive: vec![],
            grace: Millis(10),
        };
        Self { dir, job, settings }
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn play(&self, host: &Fake) -> (Outcome, Vec<ReportBody>) {
        let said = RefCell::new(Vec::new());
        let say = |body| said.borrow_mut().push(body);
        let dir = self.dir.path().join("job");
        let private = dir.join("private");
        fs::create_dir_all(&private).unwrap();
        let cx = Context { host, job: &self.job, settings: &self.settings, dir: &dir, private: &private, say: &say };
        let outcome = run(&cx);
        (outcome, said.into_inner())
    }

    /// The image's files, with the links that filling its `/dev` puts on the fake's directory taken away.
    fn files(&self) -> Vec<PathBuf> {
        let _ = fs::remove_dir_all(self.dir.path().join("root/dev"));
        let mut found = Vec::new();
        let mut left = vec![self.dir.path().join("root")];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    left.push(path.clone());
                }
                found.push(path.strip_prefix(self.dir.path()).unwrap().to_owned());
            }
        }
        found.sort();
        found
    }

    fn assert_clean(&self, host: &Fake) {
        assert_eq!(host.mounted(), Vec::<PathBuf>::new());
        assert_eq!(host.running(), 0);
        assert_eq!(self.files(), [PathBuf::from("root/etc"), PathBuf::from("root/tmp")]);
    }
}

/// The calls that change the host, of a run that goes well.
fn whole_run() -> Vec<String> {
    let scene = Scene::new();
    let host = Fake::new(&scene.disk(), |_| false);
    let (outcome, said) = scene.play(&host);
    assert!(matches!(&outcome, Outcome::Done(proof) if proof.filesystem == "ext4"), "{outcome:?}");
    assert!(
        said.iter().any(|body| matches!(body, ReportBody::Output { line, .. } if line == "#!/bin/sh -e\necho base\n"))
    );
    scene.assert_clean(&host);
    host.calls()
}

#[test]
fn the_way_out_is_the_way_in_backwards() {
    let calls = whole_run();
    let made: Vec<_> = calls.iter().filter_map(|call| call.strip_prefix("mount ")).collect();
    let mut unmade: Vec<_> = calls.iter().filter_map(|call| call.strip_prefix("unmount ")).collect();
    assert_eq!(made[..4], ["root", "/proc", "/sys", "/dev"]);
    assert_eq!(made.last(), Some(&"/etc/passwd"));
    assert_eq!(unmade.last(), Some(&"root"));
    let mut made = made;
    made.sort_unstable();
    unmade.sort_unstable();
    assert_eq!(made, unmade);
    assert_eq!(calls.last().map(String::as_str), Some("prove_free"));
}

#[test]
fn a_failure_of_any_call_is_undone() {
    let calls = whole_run();
    let way_in = calls.iter().position(|call| call == "end_all").unwrap();
    for (i, name) in calls[..way_in].iter().enumerate() {
        let nth = calls[..i].iter().filter(|earlier| *earlier == name).count();
        let seen = std::cell::Cell::new(0);
        let cue = name.clone();
        let scene = Scene::new();
        let host = Fake::new(&scene.disk(), move |call| call == cue && seen.replace(seen.get() + 1) == nth);
        let (outcome, _) = scene.play(&host);
        let Outcome::Failed { failure, proof } = outcome else { panic!("{name} #{nth}: {outcome:?}") };
        assert!(failure.message.ends_with("fails on cue"), "{name}: {}", failure.message);
        // Only a disk that was never ours has no proof from here: the keeper looks after that.
        assert_eq!(proof.is_some(), name != "open_disk", "{name}: {failure:?}");
        scene.assert_clean(&host);
    }
}

#[test]
fn a_cancel_at_any_call_is_undone() {
    for name in ["open_disk", "mount root", "isolate", "mount /proc", "run", "tell_partitions"] {
        let scene = Scene::new();
        let host = Fake::new(&scene.disk(), |_| false).cancelling_at(name);
        let (outcome, _) = scene.play(&host);
        let reached = host.calls().iter().any(|call| call == name);
        match outcome {
            Outcome::Cancelled { proof: Some(_) } => assert!(reached, "{name}"),
            Outcome::Done(_) => assert!(!reached, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        scene.assert_clean(&host);
    }
}

#[test]
fn a_failing_way_out_gives_no_proof() {
    for name in ["end_all", "release", "unmount root", "unmount /dev", "prove_free"] {
        let scene = Scene::new();
        let host = Fake::new(&scene.disk(), move |call| call == name);
        let (outcome, _) = scene.play(&host);
        let Outcome::Failed { failure, proof: None } = outcome else { panic!("{name}: {outcome:?}") };
        assert!(failure.message.contains("fails on cue"), "{}", failure.message);
    }
}

#[test]
fn a_disk_that_never_appears_is_waited_for_until_the_deadline() {
    let mut scene = Scene::new();
    scene.job.volume = VolumeId::new("vol-89abcdef").unwrap();
    let host = Fake::new(&scene.disk(), |_| false);
    let (outcome, _) = scene.play(&host);
    let Outcome::Failed { failure, proof: None } = outcome else { panic!("{outcome:?}") };
    let start =
        format!("the disk of vol-89abcdef did not appear within {}; looked for it at ", scene.job.disk_deadline);
    assert!(failure.message.starts_with(&start), "{}", failure.message);
    assert!(host.calls().iter().all(|call| call == "wait"));
}

#[test]
fn sensitive_values_are_hidden_in_what_a_title_or_a_note_quotes_and_nowhere_else() {
    let mut scene = Scene::new();
    scene.job.sensitive = ["shell", "inline", "file", "trying", "secret"].map(str::to_owned).into();
    let upload = |written: &str| Upload {
        sources: vec![SourceFile { written: written.into(), path: "/none".into() }],
        destination: DeferredTemplate("/etc/secret".into()),
    };
    let step = |action| Provisioner { pause_before: None, timeout: None, max_retries: 1, action };
    scene.job.provisioners.push(step(Action::Upload(upload("my-secret.conf"))));
    let (_, said) = scene.play(&Fake::new(&scene.disk(), |_| false));
    let told: Vec<&str> = said
        .iter()
        .filter_map(|body| match body {
            ReportBody::Provisioner { title: text, .. } | ReportBody::Note(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [
            "shell (inline)",
            "file my-<sensitive>.conf -> /etc/<sensitive>",
            "reading my-<sensitive>.conf; trying again (1 of 1)"
        ]
    );
}
