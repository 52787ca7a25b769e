//! The Packer whose templates are read.

/// Its version: what `packer_version` returns, and what `min_packer_version` is compared with.
pub(crate) const VERSION: [u64; 3] = [1, 16, 0];

/// Returns the version as text.
pub(crate) fn version() -> String {
    VERSION.map(|part| part.to_string()).join(".")
}

/// Returns the help for a template that needs another version.
pub(crate) fn version_help() -> String {
    format!("Bakehouse reads templates as Packer {} does.", version())
}
