//! What would keep another account from copying the image: checked by its role before anything is created.

use std::collections::BTreeSet;

use bakehouse_ec2::Ec2;
use bakehouse_machine::{AccountRegion, Build, Fault, FaultKind, Plan};
use bakehouse_protocol::{Region, spec::CopyRole};

use crate::{
    account_copies,
    cloud::Cloud,
    permanent_fault::permanent_fault,
    ports::{Keys, Parameters},
};

/// Assumes each role, and checks its account and that account's regions.
pub(super) async fn check_roles<E: Ec2, P: Parameters + Keys>(cloud: &Cloud<E, P>, build: &Build) -> Result<(), Fault> {
    let image = &build.spec.image;
    if image.account_copies.is_empty() {
        return Ok(());
    }
    let own = cloud.account().await?;
    for block in &image.account_copies {
        let (role, account) = (&block.role, block.role.arn.account());
        if account == own {
            return Err(permanent_fault(format!("the role {} is of the building account itself", role.arn)).hint(
                "`bakehouse_account_copies` is for other accounts: for copies that this one owns write `ami_regions`",
            ));
        }
        let known = cloud.in_account(Some(role)).regions().await.map_err(|fault| unusable(role, fault))?;
        let unknown = block.regions.iter().find(|region| !known.contains(region));
        if let Some(region) = unknown.filter(|_| !image.copying.skip_region_validation) {
            let known = known.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
            return Err(permanent_fault(format!("there is no region \"{region}\" for the account {account}"))
                .hint(format!("known are: {known}")));
        }
    }
    Ok(())
}

/// Returns the fault of the first call by a role.
fn unusable(role: &CopyRole, fault: Fault) -> Fault {
    if fault.kind != FaultKind::Permanent {
        return fault;
    }
    let external_id = if role.external_id.is_some() { " with this `external_id`" } else { "" };
    permanent_fault(format!("no copies by the role {}: {}", role.arn, fault.message)).hint(format!(
        "its trust policy must let whoever runs the build assume it{external_id}, whose own policy must allow \
         sts:AssumeRole on it; its policy must allow ec2:DescribeRegions and what \
         docs/template-reference.md lists at `bakehouse_account_copies`"
    ))
}

/// Checks that the image's name is free in other accounts, and that they can read all of its snapshots.
pub(super) async fn check_copies<E: Ec2, P: Parameters + Keys>(
    cloud: &Cloud<E, P>,
    build: &Build,
    plan: &Plan,
) -> Result<(), Fault> {
    let name = &plan.register.name;
    let mut checked = BTreeSet::new();
    for region in plan.copies.iter().filter(|region| region.role.is_some()) {
        let there = cloud.in_account(account_copies::role(&build.spec.image, region));
        if let Some(holder) = there.image_named(&region.region, name).await? {
            return Err(permanent_fault(format!("the name \"{name}\" is taken in {region} by {holder}")).hint(
                "make `ami_name` unique, for example with {{timestamp}} or {{uuid}}, or deregister that image: \
                 `force_deregister` replaces images of the building account only",
            ));
        }
        if checked.insert(region.role.clone()) {
            check_snapshots(&there, build, plan, region).await?;
        }
    }
    Ok(())
}

/// Snapshots that mappings name are not the build's to share, and a copy needs them.
async fn check_snapshots<E: Ec2>(
    there: &Cloud<E>,
    build: &Build,
    plan: &Plan,
    region: &AccountRegion,
) -> Result<(), Fault> {
    let account = region.account().unwrap_or_default();
    for mapping in &plan.register.block_device_mappings {
        let Some(id) = mapping.ebs.as_ref().and_then(|ebs| ebs.snapshot_id.as_ref()) else { continue };
        match there.root_snapshot(&build.region, id).await {
            Ok(_) => {}
            Err(fault) if fault.kind == FaultKind::NotFound => {
                return Err(permanent_fault(format!(
                    "the account {account} can't copy the image: {id}, which {} names, is not shared with it",
                    mapping.device_name
                ))
                .hint(
                    "share that snapshot with the account, or leave the mapping out of `ami_block_device_mappings`",
                ));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}
