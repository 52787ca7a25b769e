//! What the agent must know of its host.

use std::path::PathBuf;

use bakehouse_protocol::{HostId, Millis};
use serde::{Deserialize, Serialize};

/// What the agent must know of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The name that its reports carry.
    pub host: HostId,
    /// Directories with links named `nvme-Amazon_Elastic_Block_Store_<volume id without its dash>`.
    pub by_id: Vec<PathBuf>,
    /// Where it keeps a directory for each running job. Best on a tmpfs: nothing in it outlives the host.
    pub run_dir: PathBuf,
    /// The control group, below the cgroup v2 mount, that holds one group for each build.
    pub cgroup: String,
    /// Where `sys` is looked for: `/`, except in tests.
    pub sys_root: PathBuf,
    /// How long a job that was cancelled may take to clear up by itself. One that takes longer is stuck, and is killed.
    pub patience: Millis,
}

impl Settings {
    /// The usual ones, for a host of this name.
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            by_id: vec!["/dev/disk/by-id".into()],
            run_dir: "/run/bakehouse".into(),
            cgroup: "bakehouse".to_owned(),
            sys_root: "/".into(),
            patience: Millis::seconds(180),
        }
    }
}
