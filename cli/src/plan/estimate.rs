//! How long a build takes and what it costs, roughly.

use bakehouse_protocol::Millis;
use serde::Serialize;

/// List prices of us-east-1 in US dollars (Amazon EBS and EC2 data transfer, 2026). Other regions differ, most of them
/// by less than a third.
mod prices {
    /// A GiB of a gp3 volume for a month of 730 hours.
    pub(super) const VOLUME_GIB_MONTH: f64 = 0.08;
    /// A GiB of snapshots for a month.
    pub(super) const SNAPSHOT_GIB_MONTH: f64 = 0.05;
    /// A GiB copied to another region.
    pub(super) const TRANSFER_GIB: f64 = 0.02;
}

const MONTH: f64 = 730.0 * 3600.0;

/// An estimate, without the time that the template's steps take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// How long AWS and the agent need.
    pub(crate) seconds: u64,
    /// The work volume and the transfers, once.
    pub(crate) build_dollars: f64,
    /// The snapshots of all images, each month, if every block of the volume is in use.
    pub(crate) monthly_dollars: f64,
}

/// Estimates a build of this length, with a work volume of `size` GiB, and so many copies, of which so many are in
/// other regions.
pub(crate) fn estimate(
    length: Millis,
    size: u32,
    (copies, transfers): (usize, usize),
    kept_in_build_region: bool,
) -> Estimate {
    let (size, copies, transfers) = (f64::from(size), copies as f64, transfers as f64);
    let seconds = length.0 / 1000;
    let images = copies + if kept_in_build_region { 1.0 } else { 0.0 };
    Estimate {
        seconds,
        build_dollars: size * (prices::VOLUME_GIB_MONTH * seconds as f64 / MONTH + prices::TRANSFER_GIB * transfers),
        monthly_dollars: size * images * prices::SNAPSHOT_GIB_MONTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_costs_a_snapshot_and_every_other_region_a_transfer() {
        let alone = estimate(Millis::minutes(5), 8, (0, 0), true);
        let copied = estimate(Millis::minutes(5), 8, (2, 2), true);
        assert_eq!(alone.seconds, 300);
        assert!((alone.monthly_dollars - 0.40).abs() < 1e-9, "{alone:?}");
        assert!((copied.monthly_dollars - 1.20).abs() < 1e-9, "{copied:?}");
        assert!((copied.build_dollars - alone.build_dollars - 0.32).abs() < 1e-9, "{copied:?}");
        assert!((estimate(Millis(0), 8, (2, 2), false).monthly_dollars - 0.80).abs() < 1e-9);
        // A copy of another account in the build region is no transfer.
        let other = estimate(Millis::minutes(5), 8, (3, 2), true);
        assert!((other.build_dollars - copied.build_dollars).abs() < 1e-9, "{other:?}");
        assert!((other.monthly_dollars - 1.60).abs() < 1e-9, "{other:?}");
    }
}
