//! How much of a disk was changed.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::{
    copy::{BLOCK, is_same_file, next_extent},
    error::LocalError,
};

/// How many bytes differ between two disks, in blocks of 64 KiB. Only places where one of them has data are read.
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
    // The first block that was not compared yet.
    let mut next = 0;
    let (mut of_old, mut of_new) = (0, 0);
    loop {
        // The nearest data in either disk.
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

/// Where the data at or after `at` begins; `known` is what the last call returned.
fn data_from(file: &File, known: u64, at: u64) -> io::Result<u64> {
    if known > at {
        return Ok(known);
    }
    Ok(next_extent(file, at)?.map_or(u64::MAX, |(start, _)| start))
}

/// Reads a block. Beyond the end there are zeroes.
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
