//! One call: its caller, its parameters, and the transitions that it begins.

use std::cell::RefCell;

use bakehouse_ec2::{ApiError, resource::InstanceState};
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId};

use crate::{
    EmbeddedCloud,
    http::{Params, params::Node, xml::Xml},
};

/// The parameters of every call: its name, and the signature of a signed URL.
const COMMON: &[&str] = &[
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// A change of state that a call has begun and that goes on after its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// A volume becomes `available`.
    CreateVolume(VolumeId),
    /// A volume is deleted.
    DeleteVolume(VolumeId),
    /// A snapshot becomes `completed`.
    CreateSnapshot(SnapshotId),
    /// An image becomes `available`.
    CreateImage(ImageId),
    /// An image was deregistered.
    DeregisterImage(ImageId),
    /// An instance changes to a state.
    Instance(InstanceId, InstanceState),
}

/// Performs one action and writes its answer.
pub(crate) type Action = fn(&Call<'_>, &mut Xml) -> Result<(), ApiError>;

/// One call: the cloud, the caller and the parameters.
pub(crate) struct Call<'a> {
    pub(crate) cloud: &'a dyn EmbeddedCloud,
    /// The account that calls.
    pub(crate) account: &'a str,
    pub(crate) region: &'a Region,
    pub(crate) access_key_id: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) params: &'a Params,
    pub(crate) now: Timestamp,
    pub(crate) transitions: RefCell<Vec<Transition>>,
}

impl Call<'_> {
    /// Decodes the parameters, and refuses those that `decode` has not read. The call is performed after that.
    ///
    /// # Errors
    /// `decode`'s; `UnknownParameter`; `DryRunOperation` for a dry run.
    pub(crate) fn read<T>(&self, decode: impl FnOnce(&Node<'_>) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let root = self.params.root();
        let request = decode(&root)?;
        let dry_run = root.flag("DryRun")?;
        for name in COMMON {
            root.text(name);
        }
        self.params.reject_unread()?;
        if dry_run {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(ApiError::new("DryRunOperation", message));
        }
        Ok(request)
    }

    /// Notes a transition that the call has begun.
    pub(crate) fn begin(&self, transition: Transition) {
        self.transitions.borrow_mut().push(transition);
    }
}

/// A call that was performed.
pub(crate) struct Performed {
    /// The body of its answer.
    pub(crate) body: String,
    pub(crate) transitions: Vec<Transition>,
}
