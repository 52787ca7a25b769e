//! Copies of disks: shared blocks where the file system can, else holes stay holes.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use nix::{
    errno::Errno,
    fcntl,
    unistd::{Whence, lseek},
};

use super::{LocalError, ioctl};
use crate::model::Owner;

/// Bytes in a GiB, the unit of volume sizes.
pub(super) const GIB: u64 = 1 << 30;

/// The unit in which changes are counted and zeroes are left out.
const BLOCK: usize = 64 * 1024;

/// What a name ends in while its file is being written.
const PARTIAL: &str = ".partial";

/// How to read the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Copy its data; its holes are known to the file system.
    Data,
    /// Look at the data too: blocks of zeroes become holes. For files that come from outside.
    Content,
}

/// A file that is being written. It has its name only once it is complete; dropped before, it is removed.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    /// The name that it has been given beside its own one.
    named: Option<PathBuf>,
    kept: bool,
}

impl Partial {
    /// A fresh file that will be `target`. Its name says which process writes it, so that a later one can tell
    /// whether anybody still does.
    pub(super) fn create(target: &Path, owner: &Owner) -> Result<Self, LocalError> {
        let path = Self::own_name(target, owner);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(LocalError::io("creating", &path))?;
        Ok(Self { file, path, named: None, kept: false })
    }

    /// A file that is there already, and will be `target`, too.
    pub(super) fn link(source: &Path, target: &Path, owner: &Owner) -> Result<Self, LocalError> {
        let path = Self::own_name(target, owner);
        let file = File::open(source).map_err(LocalError::disk("opening", source))?;
        fs::hard_link(source, &path).map_err(LocalError::io("linking the snapshot to", &path))?;
        Ok(Self { file, path, named: None, kept: false })
    }

    fn own_name(target: &Path, owner: &Owner) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut name = target.file_name().unwrap_or_default().to_owned();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}.{}.{count}{PARTIAL}", owner.pid, owner.start));
        target.with_file_name(name)
    }

    /// Where it is for now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it from a disk and gives it its size, in bytes.
    pub(super) fn fill(&self, source: &File, size: u64, reading: Reading) -> Result<(), LocalError> {
        let copied = match reading {
            Reading::Data => copy_data(source, &self.file),
            Reading::Content => copy_content(source, &self.file),
        };
        copied.and_then(|()| self.file.set_len(size)).map_err(LocalError::io("copying to", &self.path))
    }

    /// Makes it an empty disk of this size.
    pub(super) fn empty(&self, size: u64) -> Result<(), LocalError> {
        self.file.set_len(size).map_err(LocalError::io("making room in", &self.path))
    }

    /// Makes its content last and lets nobody change it.
    pub(super) fn seal(&self) -> Result<(), LocalError> {
        self.file
            .sync_data()
            .and_then(|()| self.file.set_permissions(fs::Permissions::from_mode(0o444)))
            .map_err(LocalError::io("writing", &self.path))
    }

    /// What it was made for is only known now.
    pub(super) fn will_be(&mut self, target: &Path, owner: &Owner) -> Result<(), LocalError> {
        let path = Self::own_name(target, owner);
        fs::rename(&self.path, &path).map_err(LocalError::io("creating", &path))?;
        self.path = path;
        Ok(())
    }

    /// Links it under the name that it is made for, beside its own one. A disk is never replaced: not even one that no record
    /// tells of. As long as it has both, it is not finished: the own name tells which process was to finish it.
    pub(super) fn name(&mut self, target: &Path) -> Result<(), LocalError> {
        fs::hard_link(&self.path, target).map_err(LocalError::io("creating", target))?;
        self.named = Some(target.to_owned());
        Ok(())
    }

    /// It is finished: from now on it has the name that it was given, and no other.
    pub(super) fn finish(mut self) {
        self.named = None;
    }

    /// Renames it to its name; a file that has it is replaced.
    pub(super) fn keep(mut self, target: &Path) -> Result<(), LocalError> {
        fs::rename(&self.path, target).map_err(LocalError::io("creating", target))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // If even this fails, a later sweep finds the file by its own name, which therefore goes last.
        if let Some(named) = &self.named {
            let _ = fs::remove_file(named);
        }
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What a half-written file's name tells: the name that it is to have, and the process (number and start) that writes it.
/// `None` if it is no such name.
pub(super) fn partial_of(name: &str) -> Option<(&str, u32, u64)> {
    let mut parts = name.strip_suffix(PARTIAL)?.rsplitn(4, '.');
    parts.next()?;
    let start = parts.next()?.parse().ok()?;
    let pid = parts.next()?.parse().ok()?;
    Some((parts.next()?, pid, start))
}

/// Copies a disk; shared blocks if the file system can, else data only.
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
            // Another file system, or one that can't: through a buffer.
            Err(Errno::EXDEV | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                return each_block(source, at, end, |at, block| target.write_all_at(block, at));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Copies a disk and leaves blocks of zeroes out.
fn copy_content(source: &File, target: &File) -> io::Result<()> {
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
        // Up to the next multiple of the block, so that blocks of zeroes are seen as such.
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
        // After an error there is nothing more to say.
        at = next.as_ref().map_or(u64::MAX, |(_, end)| *end);
        Some(next)
    })
}

fn next_extent(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
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

/// Whether two names are hard links to one file.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    let inode = |path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    inode(a).is_some_and(|it| inode(b) == Some(it))
}

/// How many bytes differ between two disks, counted in blocks of 64 KiB. Only where one of them has data is looked at.
///
/// # Errors
/// [`LocalError::Io`] if one can't be read.
pub fn changed_bytes(a: &Path, b: &Path) -> Result<u64, LocalError> {
    let open = |path: &Path| File::open(path).map_err(LocalError::io("opening", path));
    let (old, new) = (open(a)?, open(b)?);
    if is_same_file(a, b) {
        // A copy in another region.
        return Ok(0);
    }
    let mut changed = 0;
    let (mut buffer, mut other) = (vec![0; BLOCK], vec![0; BLOCK]);
    // The first block that was not looked at yet.
    let mut next = 0;
    let (mut of_old, mut of_new) = (0, 0);
    loop {
        // The nearest data in either.
        let at = next * BLOCK as u64;
        of_old = data_from(&old, of_old, at).map_err(LocalError::io("reading", a))?;
        of_new = data_from(&new, of_new, at).map_err(LocalError::io("reading", b))?;
        let nearest = of_old.min(of_new).max(at);
        if of_old.min(of_new) == u64::MAX {
            return Ok(changed);
        }
        let block = nearest / BLOCK as u64;
        let start = block * BLOCK as u64;
        read_block(&old, &mut buffer, start).map_err(LocalError::io("reading", a))?;
        read_block(&new, &mut other, start).map_err(LocalError::io("reading", b))?;
        if buffer != other {
            changed += BLOCK as u64;
        }
        next = block + 1;
    }
}

/// Where the data at or after `at` begins, given that a look before found it at `known`.
fn data_from(file: &File, known: u64, at: u64) -> io::Result<u64> {
    if known > at {
        return Ok(known);
    }
    Ok(next_extent(file, at)?.map_or(u64::MAX, |(start, _)| start))
}

/// Reads a block; what lies beyond the end reads as zeroes.
fn read_block(file: &File, buffer: &mut [u8], start: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer[filled..].fill(0);
    Ok(())
}
