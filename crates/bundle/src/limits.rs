//! How large a bundle may be.

/// How large a bundle may be. Packing and unpacking keep to the same limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of the object.
    pub packed: u64,
    /// The bytes of what is in it, with the archive's own headers.
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
