//! The job that the controller sends to an agent.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    bundle_ref::BundleRef,
    id::{BuildId, ImageId, Region, VolumeId},
    spec,
    time::Millis,
};

/// The work of one build on one host: mount this volume, provision it, leave it clean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// [`crate::VERSION`] of the sender.
    pub version: u16,
    /// The build it belongs to. A job that is delivered twice is run once.
    pub build: BuildId,
    /// The number of this attempt at the build, counted from 1.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// The volume to wait for and to mount.
    pub volume: VolumeId,
    /// The volume's size in GiB, checked against the disk before anything is written.
    pub volume_size: u32,
    /// Whether the root file system (and its partition) is to be grown to the volume's size.
    pub grow: bool,
    /// Whether the volume starts empty. Then no name resolution is set up unless `copy_files` asks for it.
    pub from_scratch: bool,
    /// The image's virtualization type; with `mount_partition` it decides whether the disk's partitions are used.
    pub virtualization: spec::Virtualization,
    /// How the volume is mounted and the chroot is set up.
    pub chroot: spec::ChrootSpec,
    /// The steps.
    pub provisioners: Vec<spec::Provisioner>,
    /// Run if a step fails, while the image is still mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_cleanup: Option<spec::Provisioner>,
    /// The directory in which commands of the host run, absolute or relative to `files`; empty: `/`.
    #[serde(default)]
    pub working_directory: String,
    /// Values that the agent masks in its reports.
    #[serde(default)]
    pub sensitive: Vec<String>,
    /// The values of the fields of deferred templates.
    pub data: RunData,
    /// The directory that relative [`spec::SourceFile`] paths are taken from.
    pub files: String,
    /// Where those files come from, if they are not on the host already.
    #[serde(default)]
    pub bundle: Option<BundleRef>,
    /// How long to wait for the disk to appear.
    pub disk_deadline: Millis,
    /// How often to send [`crate::ReportBody::Heartbeat`].
    pub heartbeat: Millis,
    /// How long a step that is cancelled or timed out has between SIGTERM and SIGKILL.
    pub grace: Millis,
}

pub(crate) fn first_attempt() -> u32 {
    1
}

/// What is known of a running build and its source: the data behind `{{.SourceAMI}}` and the like. From scratch all but
/// the build's name and region are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunData {
    /// `PACKER_BUILD_NAME`.
    pub build_name: String,
    /// `.BuildRegion`.
    pub build_region: Option<Region>,
    /// `.SourceAMI`.
    pub source_ami: Option<ImageId>,
    /// `.SourceAMIName`.
    pub source_ami_name: String,
    /// `.SourceAMICreationDate`.
    pub source_ami_creation_date: String,
    /// `.SourceAMIOwner`: an account id.
    pub source_ami_owner: String,
    /// `.SourceAMIOwnerName`: its alias, if it has one.
    pub source_ami_owner_name: String,
    /// `.SourceAMITags`.
    pub source_ami_tags: BTreeMap<String, String>,
}
