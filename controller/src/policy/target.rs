//! Whom a policy is for, and where it is to hold.

use bakehouse_protocol::{InstanceId, Region};

/// The tag that a stack's hosts carry, with the stack's name.
pub const STACK_TAG: &str = "bakehouse:stack";

/// Who makes the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum For {
    /// The controller of the stack of this name: it attaches volumes to the stack's hosts.
    Controller {
        /// The stack's name.
        stack: String,
    },
    /// One process on an EC2 instance (`bakehouse build` without `--local`): it attaches volumes to that.
    Here {
        /// The instance, if it is known. Else any may be used.
        instance: Option<InstanceId>,
    },
}

/// Where the policy is to hold. What is not known is left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The account's id.
    pub account: Option<String>,
    /// The region in which templates without one are built.
    pub region: Option<Region>,
}

impl Default for Place {
    fn default() -> Self {
        Self { partition: "aws".to_owned(), account: None, region: None }
    }
}
