//! What the tests of this module share.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use bakehouse_protocol::{DeviceName, Region, Timestamp, VolumeId, Zone, spec::Architecture};
use pollster::FutureExt as _;

use crate::{
    Ec2,
    disks::{LocalCloud, LocalError, Settings, device},
    model::Import,
    request::{AttachVolume, CreateVolume, DescribeVolumes, DetachVolume},
    resource::{AttachmentState, Image, Volume},
};

/// A temporary directory. Its loop devices are detached when it is dropped, whatever the test left behind.
pub(super) struct Dir(pub(super) tempfile::TempDir);

impl Dir {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn open(&self) -> LocalCloud {
        LocalCloud::open(self.path(), settings()).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        for found in device::loops_under(self.path()) {
            let _ = device::detach_unused(&found);
        }
    }
}

/// Settings with a clock that advances by a millisecond each time it is read. It is shared, so that all clouds of a
/// test agree.
pub(super) fn settings() -> Settings {
    static NOW: AtomicU64 = AtomicU64::new(1_800_000_000_000);
    Settings::new(7, || Timestamp(NOW.fetch_add(1, Ordering::Relaxed)))
}

pub(super) fn region() -> Region {
    Region::new("us-east-1").unwrap()
}

pub(super) fn zone() -> Zone {
    Zone::new("us-east-1a").unwrap()
}

/// Whether a test that needs root can run; prints why not.
#[track_caller]
pub(super) fn can(tools: &[&str]) -> bool {
    let is_missing = |tool: &&&str| Command::new(tool).arg("--version").output().is_err();
    let reason = if !nix::unistd::geteuid().is_root() {
        "not root".to_owned()
    } else if !Path::new("/dev/loop-control").exists() {
        "there is no /dev/loop-control".to_owned()
    } else if let Some(tool) = tools.iter().find(is_missing) {
        format!("{tool} is not installed")
    } else {
        return true;
    };
    let at = std::panic::Location::caller();
    println!("SKIP {}:{}: {reason}", at.file(), at.line());
    false
}

pub(super) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A raw disk of 64 MiB partitioned by sfdisk; without a script it has no table.
pub(super) fn raw_disk(dir: &Path, script: Option<&str>) -> PathBuf {
    use std::io::Write;
    let path = dir.join("base.raw");
    fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    if let Some(script) = script {
        let mut child = Command::new("sfdisk")
            .args(["--quiet", "--no-reread", "--no-tell-kernel"])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    path
}

/// A mount that is unmounted on drop.
pub(super) struct Mounted(pub(super) PathBuf);

impl Mounted {
    pub(super) fn new(device: &Path, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        run("mount", &[device.to_str().unwrap(), at.to_str().unwrap()]);
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

impl LocalCloud {
    pub(super) fn test_import(&self, path: &Path, name: &str) -> Result<Image, LocalError> {
        self.import_disk(&region(), path, Import::new(name, 0, Architecture::X86_64))
    }

    pub(super) fn test_volume(&self, of: Option<&Image>) -> Volume {
        let mut request = CreateVolume::new(zone());
        request.snapshot_id = of.and_then(|image| image.root_snapshot().cloned());
        request.size = request.snapshot_id.is_none().then_some(1);
        self.create_volume(&region(), request).block_on().unwrap()
    }

    pub(super) fn test_attach(&self, volume: &VolumeId, device: &str) -> Result<PathBuf, crate::ApiError> {
        let instance_id = self.instance(&region()).unwrap().instance_id;
        let device = DeviceName::new(device).unwrap();
        self.attach_volume(&region(), AttachVolume { volume_id: volume.clone(), instance_id, device }).block_on()?;
        Ok(fs::read_link(self.link_path(volume)).unwrap())
    }

    pub(super) fn test_detach(&self, volume: &VolumeId) -> AttachmentState {
        self.detach_volume(&region(), DetachVolume { volume_id: volume.clone(), instance_id: None })
            .block_on()
            .unwrap()
            .state
    }

    pub(super) fn test_describe(&self, volume: &VolumeId) -> Volume {
        let request = DescribeVolumes { volume_ids: vec![volume.clone()], filters: Vec::new() };
        self.describe_volumes(&region(), request).block_on().unwrap().remove(0)
    }
}
