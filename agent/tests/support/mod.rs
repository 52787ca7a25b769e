//! Real disks for the tests: sparse files on loop devices, with a small root made of a static busybox.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use bakehouse_agent::{JobHandle, Settings, spawn};
use bakehouse_protocol::{
    BuildId, DeferredTemplate, Failure, HostId, Job, Millis, Outcome, Proof, Report, ReportBody, RunData, VERSION,
    VolumeId,
    spec::{Action, ChrootSpec, Provisioner, Script, Shell, Virtualization},
};

/// The program to run jobs with. Empty in the daemon's tests, which use these disks with a program of their own.
pub const AGENT: &str = match option_env!("CARGO_BIN_EXE_bakehouse-agent-job") {
    Some(path) => path,
    None => "",
};
pub const BUSYBOX: &str = "/bin/busybox";
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Whether a test that needs root and these programs can't run here. Prints why.
#[track_caller]
pub fn skip(tools: &[&str]) -> bool {
    let why = if !nix::unistd::geteuid().is_root() {
        "not root".to_owned()
    } else if !Path::new(BUSYBOX).exists() {
        format!("{BUSYBOX} is missing (Debian: busybox-static)")
    } else if let Some(tool) = tools.iter().chain(&["losetup", "sfdisk"]).find(|tool| !has(tool)) {
        format!("{tool} is not installed")
    } else {
        return false;
    };
    let at = std::panic::Location::caller();
    println!("SKIP {}:{}: {why}", at.file(), at.line());
    true
}

fn has(tool: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(tool).exists())
}

/// Runs a shell script that must succeed, and returns its output.
pub fn sh(script: &str) -> String {
    let output = Command::new("/bin/sh").args(["-ec", script]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{stderr}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Bare,
    Gpt,
    Mbr,
}

/// A disk on a loop device, with everything that a job on it needs.
pub struct Disk {
    pub dir: tempfile::TempDir,
    pub image: PathBuf,
    pub device: String,
    pub volume: VolumeId,
    pub build: BuildId,
    pub gib: u32,
    pub run_dir: PathBuf,
    fs: String,
    offset: u64,
}

/// A loop device that is detached even when the test fails.
pub struct Loop(pub String);
impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).output();
    }
}

/// A mount that is unmounted even when the test fails.
pub struct Mounted(pub PathBuf);
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

impl Disk {
    /// A disk of this size with a root file system, in which the shell script `prepare` has run.
    pub fn new(fs: &str, layout: Layout, gib: u32, prepare: &str) -> Self {
        let mut disk = Self::blank(gib);
        disk.fs = fs.to_owned();
        disk.format(layout, u64::from(gib) << 30, prepare);
        disk.attach();
        disk
    }

    /// A disk that is larger than the partition table and file system on it.
    pub fn grown(fs: &str, layout: Layout, from: u32, to: u32) -> Self {
        let mut disk = Self::blank(to);
        disk.fs = fs.to_owned();
        fs::File::options().write(true).open(&disk.image).unwrap().set_len(u64::from(from) << 30).unwrap();
        disk.format(layout, u64::from(from) << 30, "");
        fs::File::options().write(true).open(&disk.image).unwrap().set_len(u64::from(to) << 30).unwrap();
        disk.attach();
        disk
    }

    /// An empty disk that is not attached.
    pub fn blank(gib: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk");
        fs::File::create(&image).unwrap().set_len(u64::from(gib) << 30).unwrap();
        fs::create_dir(dir.path().join("by-id")).unwrap();
        let number = std::process::id() * 1000 + NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            run_dir: dir.path().join("run"),
            dir,
            image,
            device: String::new(),
            volume: VolumeId::new(format!("vol-{number:017x}")).unwrap(),
            build: BuildId::from_parts(number.into(), number),
            gib,
            fs: String::new(),
            offset: 0,
        }
    }

    /// Creates the partition table and the file system.
    fn format(&mut self, layout: Layout, length: u64, prepare: &str) {
        let image = self.image.display();
        let label = match layout {
            Layout::Bare => None,
            Layout::Gpt => Some("gpt"),
            Layout::Mbr => Some("dos"),
        };
        let mut limit = length;
        if let Some(label) = label {
            sh(&format!("printf 'label: {label}\\nstart=2048, type=linux\\n' | sfdisk -q {image}"));
            self.offset = 1 << 20;
            limit = length - (2 << 20);
        }
        let offset = self.offset;
        let device = Loop(sh(&format!("losetup -f --show -o {offset} --sizelimit {limit} {image}")));
        let quiet = if self.fs.starts_with("ext") { "-qF" } else { "-qf" };
        sh(&format!("mkfs.{} {quiet} {}", self.fs, device.0));
        let root = self.dir.path().join("format");
        fs::create_dir(&root).unwrap();
        sh(&format!("mount {} {}", device.0, root.display()));
        let mounted = Mounted(root.clone());
        for dir in ["bin", "etc", "tmp", "root"] {
            fs::create_dir(root.join(dir)).unwrap();
        }
        fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
        let applets = "sh cat echo env sleep mount ls setsid true false kill hostname printenv mkdir rm ln test id dd \
                       touch chmod stat head grep umount df sync tr wc ps seq mv mkswap swapon losetup mknod";
        for applet in applets.split_whitespace() {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        sh(&format!("cd {}; {prepare}", root.display()));
        drop(mounted);
        drop(device);
        fs::remove_dir(root).unwrap();
    }

    /// A copy of it, like a volume that is created from the same snapshot.
    pub fn cloned(&self) -> Self {
        let mut disk = Self::blank(self.gib);
        sh(&format!("sync; cp --sparse=always {} {}", self.image.display(), disk.image.display()));
        (disk.fs, disk.offset) = (self.fs.clone(), self.offset);
        disk.attach();
        disk
    }

    /// Attaches it as the embedded cloud does: to a loop device, with a link by the volume's id.
    pub fn attach(&mut self) {
        self.device = sh(&format!("losetup -f --show {}", self.image.display()));
        let name = self.volume.as_str().replacen('-', "", 1);
        let link = self.dir.path().join("by-id").join(format!("nvme-Amazon_Elastic_Block_Store_{name}"));
        symlink(&self.device, link).unwrap();
    }

    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new(HostId::new("test").unwrap());
        settings.by_id = vec![self.dir.path().join("by-id")];
        settings.run_dir = self.run_dir.clone();
        settings.cgroup = format!("bakehouse-{}", self.build);
        settings
    }

    pub fn mount_path(&self) -> PathBuf {
        self.dir.path().join("mnt/chroot")
    }

    pub fn job(&self, provisioners: Vec<Provisioner>) -> Job {
        Job {
            version: VERSION,
            build: self.build.clone(),
            attempt: 1,
            volume: self.volume.clone(),
            volume_size: self.gib,
            grow: false,
            from_scratch: false,
            virtualization: Virtualization::Hvm,
            chroot: ChrootSpec {
                mount_path: DeferredTemplate(format!("{}/mnt/chroot", self.dir.path().display())),
                ..ChrootSpec::default()
            },
            provisioners,
            error_cleanup: None,
            working_directory: String::new(),
            data: RunData { build_name: "web".to_owned(), source_ami_name: "base".to_owned(), ..RunData::default() },
            files: self.dir.path().display().to_string(),
            bundle: None,
            disk_deadline: Millis::seconds(60),
            heartbeat: Millis(50),
            sensitive: vec![],
            grace: Millis(300),
        }
    }

    pub fn start(&self, job: &Job) -> JobHandle {
        spawn(Path::new(AGENT), [""; 0], job, &self.settings()).unwrap()
    }

    /// Runs a job and checks that nothing is left of it.
    pub fn run(&self, job: &Job) -> Run {
        let handle = self.start(job);
        let reports: Vec<Report> = handle.reports().iter().collect();
        handle.wait().unwrap();
        self.assert_nothing_left();
        Run::new(reports)
    }

    pub fn assert_nothing_left(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let path = self.dir.path().display().to_string();
        assert!(!mounts.contains(&path) && (self.device.is_empty() || !mounts.contains(&format!("{} ", self.device))));
        assert!(!self.dir.path().join("mnt").exists(), "a mount point is left");
        let run = fs::read_dir(&self.run_dir).map_or(0, |dir| dir.count());
        assert_eq!(run, 0, "a job directory is left");
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            assert!(!Path::new(root).join(self.settings().cgroup).exists(), "a cgroup is left");
        }
        if !self.device.is_empty() {
            use std::os::unix::fs::OpenOptionsExt;
            let exclusive = fs::File::options().read(true).custom_flags(nix::libc::O_EXCL).open(&self.device);
            assert!(exclusive.is_ok(), "the disk is held: {exclusive:?}");
        }
    }

    /// The file system was made anew.
    pub fn set_filesystem(&mut self, fs: &str) {
        fs.clone_into(&mut self.fs);
    }

    /// Mounts the root, runs a shell script in it, and returns its output.
    pub fn inspect(&self, script: &str) -> String {
        let length = fs::metadata(&self.image).unwrap().len() - self.offset;
        let image = self.image.display();
        let device = Loop(sh(&format!("losetup -f --show -o {} --sizelimit {length} {image}", self.offset)));
        let root = self.dir.path().join("inspect");
        fs::create_dir_all(&root).unwrap();
        let option = if self.fs == "xfs" { "-o nouuid" } else { "" };
        sh(&format!("mount {option} {} {}", device.0, root.display()));
        let mounted = Mounted(root.clone());
        let out = sh(&format!("cd {}; {script}", root.display()));
        drop(mounted);
        drop(device);
        fs::remove_dir(root).unwrap();
        out
    }

    /// Lists every file with its type, mode, owner, size and link target, and the content of those that a job mounts
    /// over.
    pub fn listing(&self) -> String {
        self.inspect(
            "find . -name lost+found -prune -o -type d -printf '%p %M %U:%G\\n' -o -printf '%p %M %U:%G %s %l\\n' | sort; \
             for f in etc/resolv.conf usr/sbin/policy-rc.d; do test ! -f $f || cat $f; done",
        )
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if !self.device.is_empty() {
            let _ = Command::new("partx").args(["-d", &self.device]).output();
            let _ = Command::new("losetup").args(["-d", &self.device]).output();
        }
    }
}

/// The reports of a job, and how it ended.
pub struct Run {
    pub reports: Vec<Report>,
    pub outcome: Outcome,
}

impl Run {
    pub fn new(reports: Vec<Report>) -> Self {
        let end = |report: &Report| match &report.body {
            ReportBody::Ended(outcome) => Some(outcome.clone()),
            _ => None,
        };
        let ends: Vec<_> = reports.iter().filter_map(end).collect();
        assert_eq!(ends.len(), 1, "{reports:#?}");
        Self { outcome: ends[0].clone(), reports }
    }

    pub fn output(&self) -> Vec<&str> {
        self.reports
            .iter()
            .filter_map(|report| match &report.body {
                ReportBody::Output { line, .. } => Some(line.as_str()),
                _ => None,
            })
            .collect()
    }

    pub fn notes(&self) -> Vec<&str> {
        self.reports
            .iter()
            .filter_map(|report| match &report.body {
                ReportBody::Note(note) => Some(note.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Returns the proof; the job must be done.
    #[track_caller]
    pub fn done(&self) -> &Proof {
        match &self.outcome {
            Outcome::Done(proof) => proof,
            other => panic!("{other:#?}\n{:#?}\n{:#?}", self.output(), self.notes()),
        }
    }

    /// Returns the failure; the job must have failed, with a proof that the volume is free.
    #[track_caller]
    pub fn failed(&self) -> &Failure {
        match &self.outcome {
            Outcome::Failed { failure, proof: Some(_) } => failure,
            other => panic!("{other:#?}\n{:#?}\n{:#?}", self.output(), self.notes()),
        }
    }
}

pub fn step(action: Action) -> Provisioner {
    Provisioner::new(action)
}

pub fn shell(scripts: Vec<Script>) -> Provisioner {
    step(Action::Shell(Shell { scripts, valid_exit_codes: vec![0], ..Shell::default() }))
}

pub fn inline(lines: &[&str]) -> Provisioner {
    shell(vec![Script::Inline(lines.iter().map(|line| DeferredTemplate((*line).to_owned())).collect())])
}

/// Waits until a condition is true, for 10 s at most.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
