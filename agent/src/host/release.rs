//! Releases swap areas and loop devices that steps have left on the volume. The kernel keeps them without any process,
//! and they don't end with the build's namespaces.
#![allow(unsafe_code)]

use std::{
    collections::BTreeSet,
    ffi::{CString, OsString},
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::{FileTypeExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
};

use bakehouse_disk::{mountinfo::unescape, uapi::LoopInfo64};
use nix::{errno::Errno, libc};

mod ioctl {
    use bakehouse_disk::uapi;

    nix::ioctl_read_bad!(loop_get_status64, uapi::LOOP_GET_STATUS64, uapi::LoopInfo64);
    nix::ioctl_none_bad!(loop_clr_fd, uapi::LOOP_CLR_FD);
}

/// A loop device: its device number, and those of its backing file (as stat(2) returns them): the device of the file's
/// file system, and if the file is a device, that device.
struct Loop {
    path: PathBuf,
    number: u64,
    backing: [u64; 2],
}

/// Turns off every swap area and detaches every loop device that is on one of these devices, directly or through
/// another loop device. Returns a description of each. `devices` are device numbers as stat(2) returns them: of file
/// systems, and of the volume and its partitions. File systems of the host must not be among them. If a loop device is
/// still mounted, the kernel detaches it when it is unmounted.
pub(super) fn release(devices: &BTreeSet<u64>) -> io::Result<Vec<String>> {
    let mut ours = Vec::new();
    // In the embedded cloud, the volume's own disk is a loop device.
    let mut others: Vec<Loop> = loops().into_iter().filter(|device| !devices.contains(&device.number)).collect();
    let mut devices = devices.clone();
    // A loop device may be on another one.
    loop {
        let (found, rest): (Vec<Loop>, Vec<Loop>) =
            others.into_iter().partition(|device| device.backing.iter().any(|backing| devices.contains(backing)));
        if found.is_empty() {
            break;
        }
        devices.extend(found.iter().map(|device| device.number));
        ours.extend(found);
        others = rest;
    }
    let mut released = Vec::new();
    for path in swaps() {
        let device_of = |meta: fs::Metadata| if meta.file_type().is_block_device() { meta.rdev() } else { meta.dev() };
        if fs::metadata(&path).is_ok_and(|meta| devices.contains(&device_of(meta))) {
            swap_off(&path)?;
            released.push(format!("the swap area {}", path.display()));
        }
    }
    for device in ours.iter().rev() {
        detach(&device.path)?;
        released.push(format!("the loop device {}", device.path.display()));
    }
    Ok(released)
}

/// Returns descriptions of the swap areas below this directory. (A swap area whose file is deleted can't be turned off
/// by its path.)
pub(super) fn swaps_below(directory: &Path) -> Vec<String> {
    let below = swaps().into_iter().filter(|path| path.starts_with(directory));
    below.map(|path| format!("the kernel: swap area {}", path.display())).collect()
}

/// Returns the paths of the active swap areas, relative to the root of this process.
fn swaps() -> Vec<PathBuf> {
    parse_swaps(&fs::read("/proc/swaps").unwrap_or_default())
}

/// Parses `/proc/swaps`: a line with headings, then a line for each swap area that begins with its path.
fn parse_swaps(text: &[u8]) -> Vec<PathBuf> {
    let paths = text.split(|&b| b == b'\n').skip(1).filter_map(|line| line.split(u8::is_ascii_whitespace).next());
    paths.filter(|path| !path.is_empty()).map(|path| OsString::from_vec(unescape(path)).into()).collect()
}

fn swap_off(path: &Path) -> io::Result<()> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a C string that lives until the call returns.
    Errno::result(unsafe { libc::swapoff(text.as_ptr()) })
        .map(drop)
        .map_err(|errno| named("turning off swap on", path, errno))
}

/// Returns the loop devices that are attached.
fn loops() -> Vec<Loop> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let attached = entries.filter(|entry| entry.path().join("loop").is_dir());
    attached.filter_map(|entry| status(&Path::new("/dev").join(entry.file_name()))).collect()
}

fn status(path: &Path) -> Option<Loop> {
    let file = File::open(path).ok()?;
    let mut info = LoopInfo64::ZERO;
    // SAFETY: the descriptor is open, and the pointer is to a value laid out as linux/loop.h has it.
    unsafe { ioctl::loop_get_status64(file.as_raw_fd(), &raw mut info) }.ok()?;
    // For a backing file that is not a device, `rdevice` is 0.
    let backing = [info.device, if info.rdevice == 0 { info.device } else { info.rdevice }];
    Some(Loop { path: path.to_owned(), number: file.metadata().ok()?.rdev(), backing })
}

fn detach(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: the descriptor is open, and the ioctl takes no argument.
    match unsafe { ioctl::loop_clr_fd(file.as_raw_fd()) } {
        // ENXIO: it is detached already.
        Ok(_) | Err(Errno::ENXIO) => Ok(()),
        Err(errno) => Err(named("detaching", path, errno)),
    }
}

/// Adds what was being done, and to which path, to an error.
fn named(operation: &str, path: &Path, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{operation} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_paths_of_swap_areas_are_decoded() {
        let text = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/loop0p2                            partition\t8188\t\t0\t\t-2\n\
            /mnt/a\\040b/swapfile\\040(deleted)        file\t\t8188\t\t0\t\t-3\n";
        let paths = [PathBuf::from("/dev/loop0p2"), PathBuf::from("/mnt/a b/swapfile (deleted)")];
        assert_eq!(parse_swaps(text), paths);
        assert_eq!(parse_swaps(b"Filename\tType\n"), [] as [PathBuf; 0]);
    }
}
