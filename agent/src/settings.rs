//! The settings of a host.

use std::path::PathBuf;

use bakehouse_protocol::{HostId, Interaction, Millis};
use serde::{Deserialize, Serialize};

/// The settings of a host, for its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The host's id, for the reports.
    pub host: HostId,
    /// Directories with links named `nvme-Amazon_Elastic_Block_Store_<volume id without its dash>`.
    pub by_id: Vec<PathBuf>,
    /// The directory that contains the directory of each running job. Best on a tmpfs: nothing in it is needed after a
    /// reboot.
    pub run_dir: PathBuf,
    /// The control group, relative to the cgroup v2 mount, that contains one group for each build.
    pub cgroup: String,
    /// The directory that contains `sys`: `/`, except in tests.
    pub sys_root: PathBuf,
    /// How long a cancelled job may take to clean up by itself. After that it is killed.
    #[serde(alias = "patience")]
    pub cancel_timeout: Millis,
    /// How a person takes part in the job.
    #[serde(default)]
    pub interaction: Interaction,
}

impl Settings {
    /// Returns the defaults for a host.
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            by_id: vec!["/dev/disk/by-id".into()],
            run_dir: "/run/bakehouse".into(),
            cgroup: "bakehouse".to_owned(),
            sys_root: "/".into(),
            cancel_timeout: Millis::seconds(180),
            interaction: Interaction::default(),
        }
    }
}
