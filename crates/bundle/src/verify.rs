//! Compares a bundle with its digest.

use bakehouse_protocol::BundleRef;
use sha2::{Digest as _, Sha256};

/// An object is not the bundle that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object {key} is not the bundle that was asked for: {what}")]
pub struct Mismatch {
    /// The object's key.
    pub key: String,
    /// What differs.
    pub what: String,
}

/// Returns the SHA-256 in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks that these bytes are the bundle of this reference.
///
/// # Errors
/// The size or the digest differs.
pub fn verify(bytes: &[u8], bundle: &BundleRef) -> Result<(), Mismatch> {
    let differs = |what| Err(Mismatch { key: bundle.key.clone(), what });
    if bytes.len() as u64 != bundle.size {
        return differs(format!("it has {} bytes, not {}", bytes.len(), bundle.size));
    }
    let found = sha256(bytes);
    if !equal_in_constant_time(found.as_bytes(), bundle.sha256.as_bytes()) {
        return differs(format!("its SHA-256 is {found}, not {}", bundle.sha256));
    }
    Ok(())
}

/// Compares in a time that does not depend on where the two differ.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
