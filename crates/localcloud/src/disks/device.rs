//! Loop devices: a file as a block device with its partitions.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use bakehouse_disk::{
    kernel,
    table::{self, Table},
};
use nix::{errno::Errno, libc};

use super::{error::LocalError, holders, ioctl};

/// How often to try to get a free loop device, which other processes look for, too.
const TRIES: u32 = 200;

/// A loop device that this process keeps open. The kernel detaches it when its last user has closed it, also after kill
/// -9.
#[derive(Debug)]
pub(super) struct LoopDevice {
    device: File,
    path: PathBuf,
    partitions: Vec<u32>,
}

/// Another descriptor of a device.
#[derive(Debug)]
pub(super) struct Handle {
    device: File,
    path: PathBuf,
}

impl Handle {
    pub(super) fn sync(&self) -> Result<(), LocalError> {
        self.device.sync_all().map_err(LocalError::io("syncing", &self.path))
    }
}

impl LoopDevice {
    /// Attaches a file to a free loop device and adds its partitions.
    pub(super) fn attach(file: &Path) -> Result<Self, LocalError> {
        let backing = File::options().read(true).write(true).open(file).map_err(LocalError::io("opening", file))?;
        let control_path = Path::new("/dev/loop-control");
        let control = File::options()
            .read(true)
            .write(true)
            .open(control_path)
            .map_err(LocalError::io("opening", control_path))?;
        let mut failure = io::Error::from(Errno::EBUSY);
        for _ in 0..TRIES {
            let number =
                ioctl::free_loop(&control).map_err(LocalError::io("asking for a free loop device of", control_path))?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device =
                File::options().read(true).write(true).open(&path).map_err(LocalError::io("opening", &path))?;
            match ioctl::configure_loop(&device, &backing, &file.to_string_lossy()) {
                Ok(()) => {
                    let mut this = Self { device, path, partitions: Vec::new() };
                    this.add_partitions()?;
                    return Ok(this);
                }
                // Another process was faster, or the device is being removed.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN | libc::ENXIO)) => {
                    failure = error;
                    sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(LocalError::io("attaching the disk to", &path)(error)),
            }
        }
        Err(LocalError::io("finding a free loop device for", file)(failure))
    }

    /// As `/dev/loop3`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the device and its file.
    pub(super) fn sync(&self) -> Result<(), LocalError> {
        self.handle()?.sync()
    }

    /// Another descriptor, to sync the device without a lock on it.
    pub(super) fn handle(&self) -> Result<Handle, LocalError> {
        let device = self.device.try_clone().map_err(LocalError::io("opening", &self.path))?;
        Ok(Handle { device, path: self.path.clone() })
    }

    /// Adds each partition, which kernels without support for partition tables, or with a loop module that may not
    /// scan, do not do themselves. A table that can't be read counts as none, as for the kernel.
    fn add_partitions(&mut self) -> Result<(), LocalError> {
        let size = io::Seek::seek(&mut &self.device, io::SeekFrom::End(0))
            .map_err(LocalError::io("reading the size of", &self.path))?;
        let Ok(Some(Table { partitions, .. })) = table::read(&mut &self.device) else {
            return Ok(());
        };
        for partition in partitions.iter().filter(|it| it.end() <= size && it.length > 0) {
            let node = PathBuf::from(format!("{}p{}", self.path.display(), partition.number));
            match ioctl::add_partition(&self.device, partition.number, partition.start, kernel::length(partition)) {
                Ok(()) => {}
                // The kernel has read the table itself.
                Err(error) if is_in_the_way(&error) && self.has_partition(partition.number) => {}
                // It overlaps another partition; the kernel omits such a partition, too.
                Err(error) if is_in_the_way(&error) => continue,
                Err(error) => return Err(LocalError::io("adding the partition", node)(error)),
            }
            self.partitions.push(partition.number);
            wait_for_node(&node)?;
        }
        Ok(())
    }

    fn has_partition(&self, number: u32) -> bool {
        kernel::partitions(&self.path).iter().any(|partition| partition.number == number)
    }

    /// Who uses the device besides this process; waits up to `patience` for those that only read it briefly (as udev
    /// does).
    pub(super) fn users(&self, patience: Duration) -> Option<String> {
        holders::users(&self.path, patience)
    }

    /// Syncs the device and removes its partitions. If one is in use it fails with EBUSY, and all stay.
    pub(super) fn prepare_detach(&mut self) -> Result<(), LocalError> {
        self.sync()?;
        while let Some(number) = self.partitions.last() {
            match ioctl::remove_partition(&self.device, *number) {
                Err(error) if error.raw_os_error() != Some(libc::ENXIO) => {
                    let path = PathBuf::from(format!("{}p{number}", self.path.display()));
                    // Those that were removed are added again, so that the device is as it was. The first error is
                    // the one to report.
                    self.partitions.clear();
                    let _ = self.add_partitions();
                    return Err(LocalError::io("removing the partition", path)(error));
                }
                _ => drop(self.partitions.pop()),
            }
        }
        Ok(())
    }

    /// Detaches the file and waits until the device is free.
    pub(super) fn detach(self) -> Result<(), LocalError> {
        let Self { device, path, .. } = self;
        // ENXIO: it is detached already.
        if let Err(error) = ioctl::clear_loop(&device)
            && error.raw_os_error() != Some(libc::ENXIO)
        {
            return Err(LocalError::io("freeing", &path)(error));
        }
        drop(device);
        wait_until_free(&path)
    }
}

fn is_in_the_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

fn wait_for_node(node: &Path) -> Result<(), LocalError> {
    for _ in 0..400 {
        if fs::metadata(node).is_ok_and(|it| it.file_type().is_block_device()) {
            return Ok(());
        }
        sleep(Duration::from_millis(5));
    }
    Err(LocalError::io("waiting for", node)(io::ErrorKind::TimedOut.into()))
}

fn wait_until_free(path: &Path) -> Result<(), LocalError> {
    let backing = Path::new("/sys/block").join(path.file_name().unwrap_or_default()).join("loop/backing_file");
    for _ in 0..1000 {
        if !backing.exists() {
            return Ok(());
        }
        sleep(Duration::from_millis(5));
    }
    Err(LocalError::io("waiting for the kernel to free", path)(io::ErrorKind::TimedOut.into()))
}

/// A loop device with a file attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttachedLoop {
    /// As `loop3`.
    pub(super) name: String,
    /// The file.
    pub(super) backing: PathBuf,
}

/// The loop devices with a file under `dir`, an absolute path without links.
pub(super) fn loops_under(dir: &Path) -> Vec<AttachedLoop> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir("/sys/block") else {
        return found;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !name.starts_with("loop") {
            continue;
        }
        let Ok(backing) = fs::read_to_string(entry.path().join("loop/backing_file")) else {
            continue;
        };
        let backing = backing.trim_end();
        let backing = PathBuf::from(backing.strip_suffix(" (deleted)").unwrap_or(backing));
        if backing.starts_with(dir) {
            found.push(AttachedLoop { name, backing });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Detaches a loop device that nobody uses.
pub(super) fn detach_unused(found: &AttachedLoop) -> Result<(), LocalError> {
    let path = Path::new("/dev").join(&found.name);
    if let Some(by) = holders::users(&path, Duration::from_millis(500)) {
        return Err(LocalError::Busy { path, by });
    }
    let device = match File::options().read(true).custom_flags(libc::O_CLOEXEC).open(&path) {
        Ok(device) => device,
        Err(error) => return Err(LocalError::io("opening", &path)(error)),
    };
    for partition in kernel::partitions(&path) {
        // If one can't be removed, the wait below fails.
        let _ = ioctl::remove_partition(&device, partition.number);
    }
    match ioctl::clear_loop(&device) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {}
        Err(error) => return Err(LocalError::io("freeing", &path)(error)),
    }
    drop(device);
    wait_until_free(&path)
}
