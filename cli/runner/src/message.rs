//! What the build that runs is woken by.

use bakehouse_protocol::Report;

/// Something for the build that runs.
pub(crate) enum Message {
    /// A report of the agent.
    Report(Box<Report>),
    /// There may be a request to cancel.
    LookUp,
}
