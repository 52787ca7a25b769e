//! Names and keys that all parts of a stack agree on.

use bakehouse_protocol::Region;

use super::services::REGION;

/// The stack's name.
pub(crate) const STACK: &str = "bakehouse";
/// The key that the function's role has: by it the journal tells who called.
pub(crate) const CONTROLLER_KEY: &str = "ASIACONTROLLER";
/// The key that the hosts' role has.
pub(crate) const HOST_KEY: &str = "ASIAHOST";
/// The key of somebody who uses the command.
pub(crate) const USER_KEY: &str = "AKIAUSER";

pub(crate) fn region() -> Region {
    Region::new(REGION).unwrap()
}
