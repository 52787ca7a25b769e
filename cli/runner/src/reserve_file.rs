//! A file that reserves disk space: it is removed when the disk is full, so that records can be saved while a build is
//! undone.

use std::{
    fs::{self, File},
    path::Path,
};

use nix::fcntl::{FallocateFlags, fallocate};

/// Enough for a few hundred records.
const SIZE: i64 = 4 << 20;

/// Creates the file if it is missing. A failure is ignored: there may be space later all the same.
pub(super) fn create(state: &Path) {
    let path = state.join("reserve");
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0) {
        return;
    }
    let created = File::create(&path).map(|file| fallocate(&file, FallocateFlags::empty(), 0, SIZE));
    if !matches!(created, Ok(Ok(()))) {
        let _ = fs::remove_file(&path);
    }
}

/// Removes the file.
pub(super) fn remove(state: &Path) {
    let _ = fs::remove_file(state.join("reserve"));
}
