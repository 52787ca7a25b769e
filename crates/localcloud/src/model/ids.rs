//! Ids from a seed: the same calls in the same order return the same ids, unless they are salted.

use bakehouse_protocol::{InvalidId, splitmix64};
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// The generator ([`splitmix64`]): its state is one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub(super) struct Ids {
    counter: u64,
    /// Not serialised: see [`super::Model::salt_ids`].
    pub(super) salt: u64,
}

impl From<u64> for Ids {
    fn from(counter: u64) -> Self {
        Self { counter, salt: 0 }
    }
}

impl From<Ids> for u64 {
    fn from(ids: Ids) -> Self {
        ids.counter
    }
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self::from(seed)
    }

    fn number(&mut self) -> u64 {
        let number = splitmix64::nth(self.counter, 0);
        self.counter = self.counter.wrapping_add(splitmix64::INCREMENT);
        number ^ self.salt
    }

    /// A new id with EC2's leading 0 and 16 more digits.
    pub(super) fn next<T: TryFrom<String, Error = InvalidId>>(&mut self, prefix: &str) -> Result<T, ApiError> {
        fixed(format!("{prefix}0{:016x}", self.number()))
    }
}

/// An id from text that is known to be valid.
pub(super) fn fixed<T: TryFrom<String, Error = InvalidId>>(text: impl Into<String>) -> Result<T, ApiError> {
    T::try_from(text.into()).map_err(|error| ApiError::new("InternalError", error.to_string()))
}

#[cfg(test)]
mod tests {
    use bakehouse_protocol::VolumeId;

    use super::*;

    #[test]
    fn another_salt_generates_other_ids_from_the_same_state() {
        let mut ids = Ids::new(7);
        let kept = serde_json::to_string(&ids).unwrap();
        let ten = |ids: &mut Ids| -> Vec<VolumeId> { (0..10).map(|_| ids.next("vol-").unwrap()).collect() };
        ids.salt = 1;
        let first = ten(&mut ids);
        let mut restored: Ids = serde_json::from_str(&kept).unwrap();
        restored.salt = 2;
        let second = ten(&mut restored);
        assert!(second.iter().all(|id| !first.contains(id)));
        // The salt is not serialised.
        assert_eq!(serde_json::to_string(&restored).unwrap(), serde_json::to_string(&ids).unwrap());
    }
}
