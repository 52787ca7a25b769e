//! The pipeline on a fake host: each phase that fails undoes exactly what came before it.

use std::{cell::RefCell, fs, io::Write, os::unix::fs::symlink, path::PathBuf};

use bakehouse_protocol::{
    BuildId, DeferredTemplate, HostId, Job, Millis, ReportBody, RunData, VERSION, VolumeId,
    mask::Mask,
    spec::{Action, ChrootSpec, Provisioner, Script, Shell, SourceFile, Upload, Virtualization},
};

use super::*;
use crate::{Settings, host::fake::Fake};

pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) job: Job,
    pub(crate) settings: Settings,
}

/// A job with one step.
pub(crate) fn job() -> Job {
    Fixture::new().job
}

impl Fixture {
    /// A disk with an ext4 superblock, and a directory that stands for the mounted root.
    pub(crate) fn new() -> Self {
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
        for path in ["root/etc", "root/tmp", "root/dev/pts", "job"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let deferred = |text: &str| DeferredTemplate(text.to_owned());
        let shell = Shell {
            scripts: vec![Script::Inline(vec![deferred("echo {{.SourceAMIName}}")])],
            valid_exit_codes: vec![0],
            ..Shell::default()
        };
        let step = Provisioner::new(Action::Shell(shell));
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
                mount_path: deferred(&format!("{}/root", dir.path().display())),
                copy_files: Some(vec!["/etc/passwd".to_owned()]),
                ..ChrootSpec::default()
            },
            provisioners: vec![step],
            error_cleanup: None,
            working_directory: String::new(),
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

    pub(crate) fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Runs the job. Returns how it ended, and its reports.
    pub(crate) fn run(&self, host: &Fake) -> (Outcome, Vec<ReportBody>) {
        let reports = RefCell::new(Vec::new());
        let report = |body| reports.borrow_mut().push(body);
        let job_dir = self.dir.path().join("job");
        let private_dir = job_dir.join("private");
        fs::create_dir_all(&private_dir).unwrap();
        let (job, settings, job_dir, private_dir) = (&self.job, &self.settings, &job_dir, &private_dir);
        let mask = Mask::new(&job.sensitive);
        let cx = Context { host, job, settings, job_dir, private_dir, mask, report: &report };
        let outcome = run(&cx);
        (outcome, reports.into_inner())
    }

    /// The image's files, without its `/dev`: as the fake mounts nothing, the links in it are created in the directory.
    fn files(&self) -> Vec<PathBuf> {
        let _ = fs::remove_dir_all(self.dir.path().join("root/dev"));
        let mut found = Vec::new();
        let mut remaining = vec![self.dir.path().join("root")];
        while let Some(dir) = remaining.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    remaining.push(path.clone());
                }
                found.push(path.strip_prefix(self.dir.path()).unwrap().to_owned());
            }
        }
        found.sort();
        found
    }

    pub(crate) fn assert_clean(&self, host: &Fake) {
        assert_eq!(host.mounted(), Vec::<PathBuf>::new());
        assert_eq!(host.running(), 0);
        assert_eq!(self.files(), [PathBuf::from("root/etc"), PathBuf::from("root/tmp")]);
    }
}

/// The calls of a successful run.
fn successful_run() -> Vec<String> {
    let fixture = Fixture::new();
    let host = Fake::new(&fixture.disk(), |_| false);
    let (outcome, reports) = fixture.run(&host);
    assert!(matches!(&outcome, Outcome::Done(proof) if proof.filesystem == "ext4"), "{outcome:?}");
    assert!(
        reports
            .iter()
            .any(|body| matches!(body, ReportBody::Output { line, .. } if line == "#!/bin/sh -e\necho base\n"))
    );
    fixture.assert_clean(&host);
    host.calls()
}

#[test]
fn every_mount_is_undone_and_the_root_last() {
    let calls = successful_run();
    let mounted: Vec<_> = calls.iter().filter_map(|call| call.strip_prefix("mount ")).collect();
    let mut unmounted: Vec<_> = calls.iter().filter_map(|call| call.strip_prefix("unmount ")).collect();
    assert_eq!(mounted[..4], ["root", "/proc", "/sys", "/dev"]);
    assert_eq!(mounted.last(), Some(&"/etc/passwd"));
    assert_eq!(unmounted.last(), Some(&"root"));
    let mut mounted = mounted;
    mounted.sort_unstable();
    unmounted.sort_unstable();
    assert_eq!(mounted, unmounted);
    assert_eq!(calls.last().map(String::as_str), Some("prove_free"));
}

#[test]
fn a_failure_of_any_call_is_undone() {
    let calls = successful_run();
    let setup_calls = calls.iter().position(|call| call == "kill_all").unwrap();
    for (i, name) in calls[..setup_calls].iter().enumerate() {
        let nth = calls[..i].iter().filter(|earlier| *earlier == name).count();
        let seen = std::cell::Cell::new(0);
        let failing = name.clone();
        let fixture = Fixture::new();
        let host = Fake::new(&fixture.disk(), move |call| call == failing && seen.replace(seen.get() + 1) == nth);
        let (outcome, _) = fixture.run(&host);
        let Outcome::Failed { failure, proof } = outcome else { panic!("{name} #{nth}: {outcome:?}") };
        assert!(failure.message.ends_with("fails as told"), "{name}: {}", failure.message);
        // Without an open disk the pipeline has no proof: the supervisor checks it.
        assert_eq!(proof.is_some(), name != "open_disk", "{name}: {failure:?}");
        fixture.assert_clean(&host);
    }
}

#[test]
fn a_cancel_at_any_call_is_undone() {
    for name in ["open_disk", "mount root", "create_namespaces", "mount /proc", "run", "update_partitions"] {
        let fixture = Fixture::new();
        let host = Fake::new(&fixture.disk(), |_| false).cancelling_at(name);
        let (outcome, _) = fixture.run(&host);
        let reached = host.calls().iter().any(|call| call == name);
        match outcome {
            Outcome::Cancelled { proof: Some(_) } => assert!(reached, "{name}"),
            Outcome::Done(_) => assert!(!reached, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        fixture.assert_clean(&host);
    }
}

#[test]
fn a_failing_cleanup_returns_no_proof() {
    for name in ["kill_all", "release_swap_and_loops", "unmount root", "unmount /dev", "prove_free"] {
        let fixture = Fixture::new();
        let host = Fake::new(&fixture.disk(), move |call| call == name);
        let (outcome, _) = fixture.run(&host);
        let Outcome::Failed { failure, proof: None } = outcome else { panic!("{name}: {outcome:?}") };
        assert!(failure.message.contains("fails as told"), "{}", failure.message);
    }
}

/// A loop device that another process has open for a moment is still there when the kernel was asked to detach it.
#[test]
fn a_device_that_is_found_again_is_reported_once() {
    let fixture = Fixture::new();
    let host = Fake::new(&fixture.disk(), |_| false).with_left_in_use("the loop device /dev/loop5");
    let (outcome, reports) = fixture.run(&host);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert!(host.calls().iter().filter(|call| *call == "release_swap_and_loops").count() > 1);
    assert_eq!(reports.iter().filter(|body| format!("{body:?}").contains("/dev/loop5")).count(), 1, "{reports:?}");
}

#[test]
fn the_job_waits_for_its_disk_until_the_deadline() {
    let mut fixture = Fixture::new();
    fixture.job.volume = VolumeId::new("vol-89abcdef").unwrap();
    let host = Fake::new(&fixture.disk(), |_| false);
    let (outcome, _) = fixture.run(&host);
    let Outcome::Failed { failure, proof: None } = outcome else { panic!("{outcome:?}") };
    let start =
        format!("the disk of vol-89abcdef did not appear within {}; looked for it at ", fixture.job.disk_deadline);
    assert!(failure.message.starts_with(&start), "{}", failure.message);
    assert!(host.calls().iter().all(|call| call == "wait"));
}

#[test]
fn sensitive_values_are_masked_in_titles_and_notes() {
    let mut fixture = Fixture::new();
    fixture.job.sensitive = ["shell", "inline", "file", "trying", "secret"].map(str::to_owned).into();
    let upload = |written: &str| Upload {
        sources: vec![SourceFile { written: written.into(), path: "/none".into() }],
        destination: DeferredTemplate("/etc/secret".into()),
        ..Upload::default()
    };
    let step = |action| Provisioner { max_retries: 1, ..Provisioner::new(action) };
    fixture.job.provisioners.push(step(Action::Upload(upload("my-secret.conf"))));
    let (_, reports) = fixture.run(&Fake::new(&fixture.disk(), |_| false));
    let texts: Vec<&str> = reports
        .iter()
        .filter_map(|body| match body {
            ReportBody::Provisioner { title: text, .. } | ReportBody::Note(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        texts,
        [
            "shell (inline)",
            "file my-<sensitive>.conf -> /etc/<sensitive>",
            "reading my-<sensitive>.conf; trying again (1 of 1)"
        ]
    );
}
