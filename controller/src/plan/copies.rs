//! Where the image is copied to: other regions, and other accounts.

use std::collections::BTreeSet;

use bakehouse_machine::{AccountRegion, Build, Fault};
use bakehouse_protocol::Region;

use crate::permanent_fault::permanent_fault;

/// Returns the regions to copy to, each once and without the build's, those of other accounts last.
pub(super) fn plan(build: &Build) -> Result<Vec<AccountRegion>, Fault> {
    let image = &build.spec.image;
    let mut seen = BTreeSet::from([&build.region]);
    let regions: Vec<&Region> = image.regions.iter().filter(|region| seen.insert(region)).collect();
    let home = (!image.copying.skip_save_build_region).then_some(&build.region);
    let everywhere: Vec<&Region> = home.into_iter().chain(regions.iter().copied()).collect();
    let mut copies: Vec<AccountRegion> = regions.into_iter().map(AccountRegion::from).collect();
    for block in &image.account_copies {
        let own: Vec<&Region> = block.regions.iter().collect();
        for region in if own.is_empty() { &everywhere } else { &own } {
            let region = AccountRegion { region: (*region).clone(), role: Some(block.role.arn.clone()) };
            if copies.iter().any(|it| (&it.region, it.account()) == (&region.region, region.account())) {
                return Err(permanent_fault(format!("two of `bakehouse_account_copies` are in {region}"))
                    .hint("name each region of an account once"));
            }
            copies.push(region);
        }
    }
    if copies.is_empty() && home.is_none() {
        return Err(permanent_fault("`skip_save_build_region` is set, and there is no other region to copy to")
            .hint("name regions in `ami_regions`, or remove `skip_save_build_region`"));
    }
    Ok(copies)
}
