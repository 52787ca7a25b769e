//! The Packer whose templates are read.

/// Its version: what `packer_version` returns, and what `min_packer_version` is compared with.
pub(crate) const VERSION: [u64; 3] = [1, 16, 0];
