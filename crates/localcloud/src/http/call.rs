//! One call: who makes it, its parameters, and what it has begun.

use std::cell::RefCell;

use bakehouse_ec2::resource::InstanceState;
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, VolumeId};

use crate::EmbeddedCloud;
use crate::http::{Params, Refusal, params::Node};

/// What every call may carry: its name, and the signature of one that is signed in its address.
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

/// Something that a call has begun and that will go on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// A volume on its way to `available`.
    Volume(VolumeId),
    /// A volume on its way out.
    Deletion(VolumeId),
    /// A snapshot on its way to `completed`.
    Snapshot(SnapshotId),
    /// An image on its way to `available`.
    Image(ImageId),
    /// An image that is no more.
    Deregistered(ImageId),
    /// An instance on its way to a state.
    Instance(InstanceId, InstanceState),
}

/// One call: what it is made to, by whom, and with what.
pub(crate) struct Call<'a> {
    pub(crate) cloud: &'a dyn EmbeddedCloud,
    pub(crate) account: &'a str,
    pub(crate) region: &'a Region,
    pub(crate) access_key_id: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) params: &'a Params,
    pub(crate) begun: RefCell<Vec<Begun>>,
}

impl Call<'_> {
    /// Reads all parameters, and refuses those that `decode` has not asked for. What follows is the call itself.
    ///
    /// # Errors
    /// `decode`'s; `UnknownParameter`; `DryRunOperation` if it was to be tried only.
    pub(crate) fn read<T>(&self, decode: impl FnOnce(&Node<'_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let root = self.params.root();
        let request = decode(&root)?;
        let dry_run = root.flag("DryRun")?;
        for name in COMMON {
            root.text(name);
        }
        self.params.finish()?;
        if dry_run {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(Refusal::new("DryRunOperation", message));
        }
        Ok(request)
    }

    /// Notes what goes on after the answer.
    pub(crate) fn begun(&self, what: Begun) {
        self.begun.borrow_mut().push(what);
    }
}

/// What a call came to: the body of its answer, and what goes on after it.
pub(crate) struct Done {
    pub(crate) body: String,
    pub(crate) begun: Vec<Begun>,
}
