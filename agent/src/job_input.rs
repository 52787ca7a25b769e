//! What the process of a job reads from its standard input.

use bakehouse_protocol::Job;
use serde::{Deserialize, Serialize};

use crate::Settings;

/// The first line of the input, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobInput {
    /// The job.
    pub job: Job,
    /// The settings of this host.
    pub settings: Settings,
}
