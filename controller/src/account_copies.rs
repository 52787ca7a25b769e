//! Which block of `bakehouse_account_copies` a region of another account belongs to.

use bakehouse_machine::AccountRegion;
use bakehouse_protocol::spec::{AccountCopies, CopyRole, ImageSpec};

/// Returns the block; `None` for a region of the own account.
pub(crate) fn block<'a>(image: &'a ImageSpec, region: &AccountRegion) -> Option<&'a AccountCopies> {
    image.account_copies.iter().find(|copies| {
        let is_there = copies.regions.is_empty() || copies.regions.contains(&region.region);
        is_there && region.role.as_ref() == Some(&copies.role.arn)
    })
}

/// Returns the role that makes the calls in a region.
pub(crate) fn role<'a>(image: &'a ImageSpec, region: &AccountRegion) -> Option<&'a CopyRole> {
    block(image, region).map(|copies| &copies.role)
}
