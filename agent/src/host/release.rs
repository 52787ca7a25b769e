//! Letting go of what the kernel itself keeps in use of a file system, on behalf of no process: swap areas and loop
//! devices that a step has left. Neither ends with the build's namespaces.
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

/// A loop device, with the numbers that `stat` gives of it and of what backs it: the device of the file's file system,
/// and its own number if it is a device.
struct Loop {
    path: PathBuf,
    number: u64,
    backing: [u64; 2],
}

/// Turns off every swap area and detaches every loop device that lies on one of these devices (the numbers that `stat`
/// gives: of file systems, and of the volume and its partitions), also by way of another loop device. Returns what it
/// was, for people. A loop device that is still mounted is detached by the kernel when it is unmounted. A file system of
/// the host must not be among the devices: what lies on it is the host's.
pub(super) fn release(devices: &BTreeSet<u64>) -> io::Result<Vec<String>> {
    let mut ours = Vec::new();
    // The volume's own disk may be a loop device.
    let mut others: Vec<Loop> = loops().into_iter().filter(|device| !devices.contains(&device.number)).collect();
    let mut devices = devices.clone();
    // A loop device may lie on another one.
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
        let of = |meta: fs::Metadata| if meta.file_type().is_block_device() { meta.rdev() } else { meta.dev() };
        if fs::metadata(&path).is_ok_and(|meta| devices.contains(&of(meta))) {
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

/// The swap areas that lie below this directory, for people. One whose file is deleted has no path to turn it off by.
pub(super) fn swaps_below(directory: &Path) -> Vec<String> {
    let below = swaps().into_iter().filter(|path| path.starts_with(directory));
    below.map(|path| format!("the kernel: swap area {}", path.display())).collect()
}

/// The paths of the active swap areas, as this process sees them.
fn swaps() -> Vec<PathBuf> {
    parse_swaps(&fs::read("/proc/swaps").unwrap_or_default())
}

/// Reads `/proc/swaps`: a line of headings, then one line a swap area that begins with its path.
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

/// The loop devices that are in use.
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
    // A file that is no device has the number 0, which is no device's.
    let backing = [info.device, if info.rdevice == 0 { info.device } else { info.rdevice }];
    Some(Loop { path: path.to_owned(), number: file.metadata().ok()?.rdev(), backing })
}

fn detach(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: the descriptor is open, and the ioctl takes no argument.
    match unsafe { ioctl::loop_clr_fd(file.as_raw_fd()) } {
        // ENXIO: it is free already.
        Ok(_) | Err(Errno::ENXIO) => Ok(()),
        Err(errno) => Err(named("detaching", path, errno)),
    }
}

fn named(doing: &str, path: &Path, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_areas_are_read_with_odd_names() {
        let text = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/loop0p2                            partition\t8188\t\t0\t\t-2\n\
            /mnt/a\\040b/swapfile\\040(deleted)        file\t\t8188\t\t0\t\t-3\n";
        let paths = [PathBuf::from("/dev/loop0p2"), PathBuf::from("/mnt/a b/swapfile (deleted)")];
        assert_eq!(parse_swaps(text), paths);
        assert_eq!(parse_swaps(b"Filename\tType\n"), [] as [PathBuf; 0]);
    }
}
