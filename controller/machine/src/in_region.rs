//! A request of EC2 and where it goes.

use bakehouse_protocol::Region;
use serde::{Deserialize, Serialize};

/// A request of EC2 and the region that it goes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InRegion<R> {
    /// The region. For CopyImage, where the copy is to be.
    #[serde(alias = "to")]
    pub region: Region,
    /// The request.
    #[serde(flatten)]
    pub request: R,
}
