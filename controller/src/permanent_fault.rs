//! Faults that do not come from EC2.

use bakehouse_protocol::{Fault, FaultKind};

/// Returns a permanent fault: the template or the account has to be changed.
pub(crate) fn permanent_fault(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Permanent, message)
}
