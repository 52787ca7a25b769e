//! The caller that a policy is for, and the scope of its ARNs.

use bakehouse_protocol::{InstanceId, Region};

/// The tag that a stack's hosts carry, with the stack's name.
pub const STACK_TAG: &str = "bakehouse:stack";

/// Who makes the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The controller of the stack of this name: it attaches volumes to the stack's hosts.
    Controller {
        /// The stack's name.
        stack: String,
    },
    /// `bakehouse build` on an EC2 instance: it attaches volumes to that instance.
    Instance {
        /// The instance. `None`: any instance is allowed.
        instance: Option<InstanceId>,
    },
}

/// Partition, account and region of the policy's ARNs. `None`: any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArnScope {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The account's id.
    pub account: Option<String>,
    /// The region in which templates without one are built.
    pub region: Option<Region>,
}

impl Default for ArnScope {
    fn default() -> Self {
        Self { partition: "aws".to_owned(), account: None, region: None }
    }
}
