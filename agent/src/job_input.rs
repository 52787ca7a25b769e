//! What a job's process is given on its standard input.

use bakehouse_protocol::Job;
use serde::{Deserialize, Serialize};

use crate::Settings;

/// The first line of a job's input, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobInput {
    /// What to do.
    pub job: Job,
    /// Where.
    pub settings: Settings,
}
