//! The wall clock.

use bakehouse_protocol::Timestamp;

#[allow(clippy::disallowed_methods, reason = "the one clock of these tests")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}
