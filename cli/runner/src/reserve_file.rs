//! A file that takes up room which nobody needs, until the disk is full: then it is dropped, and there is room to write
//! down what is being undone.

use std::{
    fs::{self, File},
    path::Path,
};

use nix::fcntl::{FallocateFlags, fallocate};

/// Enough for a few hundred records.
const SIZE: i64 = 4 << 20;

/// Lays it, if it is not there. That it can't be laid stops nothing: there may be room all the same.
pub(super) fn lay(state: &Path) {
    let path = state.join("reserve");
    if fs::metadata(&path).is_ok_and(|facts| facts.len() > 0) {
        return;
    }
    let laid = File::create(&path).map(|file| fallocate(&file, FallocateFlags::empty(), 0, SIZE));
    if !matches!(laid, Ok(Ok(()))) {
        let _ = fs::remove_file(&path);
    }
}

/// Drops it.
pub(super) fn drop(state: &Path) {
    let _ = fs::remove_file(state.join("reserve"));
}
