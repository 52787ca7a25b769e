//! Files of the state directory.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use bakehouse_controller::ports::StoreError;

/// Returns what makes an error of the store of a failed operation.
pub(crate) fn failed(operation: String) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Failed { operation, source: Box::new(source) }
}

/// Replaces a file (written beside, synced, renamed): a reader finds the old text or the new one.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(text)?;
    new.as_file().sync_data()?;
    new.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}
