//! Points in time and lengths of time as plain numbers. Nothing here can read a clock.

use core::{fmt, ops};
use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// `n` seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(n * 1000)
    }

    /// `n` minutes.
    pub const fn minutes(n: u64) -> Self {
        Self(n * 60_000)
    }
}

impl From<Millis> for core::time::Duration {
    fn from(length: Millis) -> Self {
        Self::from_millis(length.0)
    }
}

impl Timestamp {
    /// How long before `self` the earlier moment was; zero if it was not before.
    pub fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl ops::Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl fmt::Display for Millis {
    /// `449 ms`, `12.0 s`, `3 min 5 s`, `2 h 4 min`: two units at most, as a person would say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        match seconds {
            0 => write!(f, "{} ms", self.0),
            1..60 => write!(f, "{}.{} s", seconds, self.0 % 1000 / 100),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            _ => write!(f, "{} h {} min", seconds / 3600, seconds % 3600 / 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn lengths_read_as_a_person_says_them() {
        assert_eq!(Millis(449).to_string(), "449 ms");
        assert_eq!(Millis(59_999).to_string(), "59.9 s");
        assert_eq!(Millis::seconds(185).to_string(), "3 min 5 s");
        assert_eq!(Millis::minutes(124).to_string(), "2 h 4 min");
    }

    #[test]
    fn a_length_is_never_negative() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Millis(0));
    }
}
