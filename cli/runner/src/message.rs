//! Messages to the running build.

use bakehouse_protocol::Report;

/// A message to the running build.
pub(crate) enum Message {
    /// A report of the agent.
    Report(Box<Report>),
    /// There may be a request to cancel.
    CheckCancel,
}
