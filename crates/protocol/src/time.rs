//! Points in time and durations as plain numbers. Nothing here can read a clock.

use core::{fmt, ops};
use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A duration in milliseconds.
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
    fn from(duration: Millis) -> Self {
        Self::from_millis(duration.0)
    }
}

impl Timestamp {
    /// Returns the time from `earlier` to `self`; zero if `earlier` is not before it.
    pub fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl ops::Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, duration: Millis) -> Self {
        Self(self.0.saturating_add(duration.0))
    }
}

impl fmt::Display for Millis {
    /// `449 ms`, `12.0 s`, `3 min 5 s`, `2 h 4 min`: at most two units.
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
    fn durations_have_at_most_two_units() {
        assert_eq!(Millis(449).to_string(), "449 ms");
        assert_eq!(Millis(59_999).to_string(), "59.9 s");
        assert_eq!(Millis::seconds(185).to_string(), "3 min 5 s");
        assert_eq!(Millis::minutes(124).to_string(), "2 h 4 min");
    }

    #[test]
    fn a_duration_is_never_negative() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Millis(0));
    }
}
