//! Faults that are not EC2's.

use bakehouse_protocol::{Fault, FaultKind};

/// Returns the fault of something that the template or the account would have to change.
pub(crate) fn refused(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Permanent, message)
}
