//! Copying disks: shared blocks where the file system can, else holes stay holes.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl,
    unistd::{Whence, lseek},
};

use super::ioctl;

/// Bytes in a GiB, the unit of volume sizes.
pub(super) const GIB: u64 = 1 << 30;

/// The unit in which zeroes are skipped and changes are counted.
pub(super) const BLOCK: usize = 64 * 1024;

/// What becomes a hole in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holes {
    /// The holes of the source.
    Keep,
    /// Those, and blocks of zeroes. For files from outside.
    AndZeroes,
}

/// Copies the content of a disk to an empty file.
pub(super) fn copy(source: &File, target: &File, holes: Holes) -> io::Result<()> {
    match holes {
        Holes::Keep => copy_data(source, target),
        Holes::AndZeroes => copy_nonzero(source, target),
    }
}

/// Copies a disk: shares its blocks if the file system can, else copies its data.
fn copy_data(source: &File, target: &File) -> io::Result<()> {
    if ioctl::clone_file(source, target).is_ok() {
        return Ok(());
    }
    for extent in extents(source) {
        let (start, end) = extent?;
        copy_range(source, target, start, end)?;
    }
    Ok(())
}

fn copy_range(source: &File, target: &File, start: u64, end: u64) -> io::Result<()> {
    let mut at = start;
    while at < end {
        let (mut from, mut to) = (offset(at)?, offset(at)?);
        let length = usize::try_from((end - at).min(GIB)).unwrap_or(BLOCK);
        match fcntl::copy_file_range(source, Some(&mut from), target, Some(&mut to), length) {
            Ok(0) => return Ok(()),
            Ok(copied) => at += copied as u64,
            Err(Errno::EINTR) => {}
            // Another file system, or one that can't do it: through a buffer.
            Err(Errno::EXDEV | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                return each_block(source, at, end, |at, block| target.write_all_at(block, at));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Copies a disk without blocks of zeroes.
fn copy_nonzero(source: &File, target: &File) -> io::Result<()> {
    for extent in extents(source) {
        let (start, end) = extent?;
        each_block(source, start, end, |at, block| {
            if block.iter().all(|byte| *byte == 0) { Ok(()) } else { target.write_all_at(block, at) }
        })?;
    }
    Ok(())
}

fn each_block(source: &File, start: u64, end: u64, mut f: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    let mut at = start;
    while at < end {
        // Up to the next multiple of the block size, so that blocks are aligned.
        let length = (BLOCK as u64 - at % BLOCK as u64).min(end - at) as usize;
        match source.read_at(&mut buffer[..length], at) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                f(at, &buffer[..read])?;
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn offset(at: u64) -> io::Result<i64> {
    i64::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// Where a file has data, as (start, end) in bytes.
fn extents(file: &File) -> impl Iterator<Item = io::Result<(u64, u64)>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let next = next_extent(file, at).transpose()?;
        // After an error the iterator ends.
        at = next.as_ref().map_or(u64::MAX, |(_, end)| *end);
        Some(next)
    })
}

pub(super) fn next_extent(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    let Ok(at) = i64::try_from(at) else {
        return Ok(None);
    };
    let start = match lseek(file.as_fd(), at, Whence::SeekData) {
        Ok(start) => start,
        // No data from here on.
        Err(Errno::ENXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let end = lseek(file.as_fd(), start, Whence::SeekHole)?;
    Ok(Some((start.unsigned_abs(), end.unsigned_abs())))
}

/// Whether two paths are hard links to one file.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    let inode = |path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    inode(a).is_some_and(|it| inode(b) == Some(it))
}
