//! Ids from a seed: the same calls in the same order give the same ids.

use bakehouse_protocol::InvalidId;
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// The generator (SplitMix64, by Steele, Lea and Flood): a counter and a mixing function, so its state is one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ids(u64);

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A fresh id with EC2's leading 0 and 16 more digits.
    pub(super) fn next<T: TryFrom<String, Error = InvalidId>>(&mut self, prefix: &str) -> Result<T, ApiError> {
        fixed(format!("{prefix}0{:016x}", self.number()))
    }
}

/// An id from text that is known to be one.
pub(super) fn fixed<T: TryFrom<String, Error = InvalidId>>(text: impl Into<String>) -> Result<T, ApiError> {
    T::try_from(text.into()).map_err(|error| ApiError::new("InternalError", error.to_string()))
}
