//! A request of EC2 and where it goes.

use serde::{Deserialize, Serialize};

use crate::AccountRegion;

/// A request of EC2 and the region that it goes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InRegion<R> {
    /// The region. For CopyImage, where the copy is to be, which may be another account.
    #[serde(alias = "to")]
    pub region: AccountRegion,
    /// The request.
    #[serde(flatten)]
    pub request: R,
}
