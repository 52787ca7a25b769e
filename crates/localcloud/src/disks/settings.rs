//! What an embedded cloud on disks is opened with.

use std::path::PathBuf;

use bakehouse_protocol::{Region, Timestamp};

use crate::Delays;

/// The regions of AWS that are enabled by default, and others that are used much.
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The settings of an embedded cloud.
pub struct Settings {
    /// The account that owns what is created.
    pub account: String,
    /// The regions.
    pub regions: Vec<Region>,
    /// The seed of ids. It must differ between the processes on a directory: see
    /// [`Model::salt_ids`](crate::Model::salt_ids).
    pub seed: u64,
    /// How long changes of state take in addition to copying. No time by default.
    pub delays: Delays,
    /// Returns the time of now.
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Where attached volumes also appear under their device names: `/dev` for programs that look for them there.
    /// Nowhere by default.
    pub device_names: Option<PathBuf>,
}

impl Settings {
    /// The account 000000000000 in AWS's regions, without delays.
    pub fn new(seed: u64, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            account: "000000000000".to_owned(),
            regions: REGIONS.iter().filter_map(|name| Region::new(*name).ok()).collect(),
            seed,
            delays: Delays::default(),
            clock: Box::new(clock),
            device_names: None,
        }
    }
}
