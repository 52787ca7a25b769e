//! Reading at an offset, and the little-endian numbers and GUIDs of on-disk formats.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

/// The bytes at an offset, or `None` if the disk ends before.
pub(crate) fn read_at<const N: usize>(disk: &mut (impl Read + Seek + ?Sized), at: u64) -> io::Result<Option<[u8; N]>> {
    disk.seek(SeekFrom::Start(at))?;
    let mut buffer = [0; N];
    match disk.read_exact(&mut buffer) {
        Ok(()) => Ok(Some(buffer)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// A number of two bytes; zero if the slice is too short.
pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

/// A number of four bytes; zero if the slice is too short.
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// A UUID as it is usually written, from bytes in that order.
pub(crate) fn uuid(b: &[u8; 16]) -> String {
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A GUID as it is usually written. On disk its first three groups are little-endian (UEFI 2.10, appendix A).
pub(crate) fn guid(b: &[u8; 16]) -> String {
    uuid(&[b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]])
}
