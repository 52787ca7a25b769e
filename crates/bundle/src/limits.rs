//! How large a bundle may be.

/// How large a bundle may be. Packing and unpacking keep to the same limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of the object in bytes.
    pub packed: u64,
    /// The size of the archive in bytes, headers included, when it is not compressed.
    pub unpacked: u64,
    /// The number of files, directories and links.
    pub entries: usize,
}

impl Default for Limits {
    /// 64 MiB packed; 512 MiB and 20 000 entries unpacked.
    fn default() -> Self {
        Self { packed: 64 << 20, unpacked: 512 << 20, entries: 20_000 }
    }
}
