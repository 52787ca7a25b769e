//! Where the endpoint has the time from.

use std::sync::Arc;

use bakehouse_protocol::Timestamp;

/// Returns the time of now.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
