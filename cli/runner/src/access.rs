//! A build's access to AWS, beside its record: `access.json`, without the secrets. To undo the build of a killed
//! process, the same credentials and endpoint are needed: with others, its resources would not be found and would count
//! as removed.

use std::{fs, io, path::Path};

use bakehouse_controller::ports::StoreError;
use bakehouse_disk::file;
use bakehouse_protocol::access::PersistedAccess;

use crate::files::failed;

const FILE: &str = "access.json";

/// Writes the access into a build's directory, unless it is the default.
pub(crate) fn write(dir: &Path, access: &PersistedAccess) -> Result<(), StoreError> {
    if *access == PersistedAccess::default() {
        return Ok(());
    }
    let path = dir.join(FILE);
    let operation = || format!("writing {}", path.display());
    let text = serde_json::to_vec(access)
        .map_err(|error| StoreError::Failed { operation: operation(), source: Box::new(error) })?;
    file::replace(&path, &text).map_err(failed(operation()))
}

/// Reads the access of the build in this directory, without secrets.
///
/// # Errors
/// [`StoreError::Failed`] if that can't be read.
pub(crate) fn read(dir: &Path) -> Result<PersistedAccess, StoreError> {
    let path = dir.join(FILE);
    let operation = || format!("reading {}", path.display());
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| StoreError::Failed { operation: operation(), source: Box::new(error) }),
        // Its template has no access options, or it is of an earlier version of Bakehouse.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(PersistedAccess::default()),
        Err(error) => Err(failed(operation())(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{Records, records::tests::build};

    #[test]
    fn access_is_saved_beside_the_record_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let access = PersistedAccess { profile: Some("baker".into()), ..PersistedAccess::default() };
        let _owner = records.create_with(&build(1), &access).unwrap();
        assert_eq!(records.access(&build(1).id).unwrap(), access);
        let mode = fs::metadata(records.path(&build(1).id).join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn without_access_options_there_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let _owner = records.create(&build(1)).unwrap();
        let path = records.path(&build(1).id).join(FILE);
        assert!(!path.exists());
        assert_eq!(records.access(&build(1).id).unwrap(), PersistedAccess::default());
        fs::write(&path, "{").unwrap();
        assert!(records.access(&build(1).id).unwrap_err().to_string().contains("access.json"));
    }
}
