//! What is encrypted, and with which key: the work volume, and so the image in the build region, and each copy.
//!
//! With `encrypt_boot` the work volume is encrypted with the image's key from the start: no second copy is needed in
//! the build region. A copy is encrypted with the key of its own region.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_machine::{AccountRegion, Build, Fault, Plan, plan::RegionPlan};
use bakehouse_protocol::Region;

use super::root_snapshot::RootSnapshot;
use crate::{account_copies, permanent_fault::permanent_fault};

/// A key in its region and account.
pub(crate) type RegionKey = (AccountRegion, String);

/// Returns whether the work volume is encrypted, and its key. `None`: as the snapshot is.
pub(super) fn of_volume(build: &Build, source: Option<&RootSnapshot>) -> Result<(Option<bool>, Option<String>), Fault> {
    let (image, volume) = (&build.spec.image.encryption, &build.spec.volume);
    let is_encrypted = source.is_some_and(|source| source.encrypted);
    match image.encrypt_boot {
        Some(true) => Ok((Some(true), region_key(build, &build.region))),
        Some(false) if is_encrypted => Err(permanent_fault(
            "`encrypt_boot` is false, and the source's root snapshot is encrypted",
        )
        .hint(
            "EC2 makes no unencrypted copy of an encrypted snapshot: leave `encrypt_boot` out, or use another source",
        )),
        Some(false) if volume.encrypted == Some(true) => {
            Err(permanent_fault("`encrypt_boot` is false, and `root_volume_encrypt_boot` is true")
                .hint("the image is made from the work volume: remove one of the two"))
        }
        Some(false) => Ok((None, None)),
        None => match (volume.encrypted, &volume.kms_key_id) {
            (Some(true), key) => Ok((Some(true), key.clone())),
            (_, Some(key)) if is_encrypted => Ok((Some(true), Some(key.clone()))),
            (_, Some(key)) => {
                Err(permanent_fault(format!("`root_volume_kms_key_id` is {key}, and the work volume is not encrypted"))
                    .hint("set `root_volume_encrypt_boot` to true, or remove the key"))
            }
            (_, None) => Ok((None, None)),
        },
    }
}

/// Returns a region's plan with the encryption of the copy there.
pub(super) fn of_copy(build: &Build, region: &AccountRegion, plan: RegionPlan) -> RegionPlan {
    if *region == build.region {
        return plan;
    }
    let encrypted = build.spec.image.encryption.encrypt_boot;
    if let Some(block) = account_copies::block(&build.spec.image, region) {
        let kms_key_id = block.kms_key_id.clone();
        return RegionPlan { encrypted: kms_key_id.is_some().then_some(true).or(encrypted), kms_key_id, ..plan };
    }
    let kms_key_id = region_key(build, &region.region).filter(|_| encrypted == Some(true));
    RegionPlan { encrypted, kms_key_id, ..plan }
}

/// Returns the key that the template names for a region; `None`: the region's default key. `kms_key_id` is of the build
/// region.
fn region_key(build: &Build, region: &Region) -> Option<String> {
    let encryption = &build.spec.image.encryption;
    let general = encryption.kms_key_id.as_ref().filter(|_| region == &build.region);
    encryption.region_kms_key_ids.get(region).or(general).filter(|key| !key.is_empty()).cloned()
}

/// Returns the keys that a plan uses by name. `source` is the key that the work volume inherits, which counts only for
/// what is shared: whoever can read the snapshot may use its key.
pub(crate) fn named_keys(build: &Build, plan: &Plan, source: Option<&RootSnapshot>) -> BTreeSet<RegionKey> {
    let mut keys: BTreeSet<RegionKey> =
        plan.regions.iter().filter_map(|(region, plan)| Some((region.clone(), plan.kms_key_id.clone()?))).collect();
    let is_shared = shares(build).is_some() || !build.spec.image.account_copies.is_empty();
    keys.extend(build_region_key(build, plan, source.filter(|_| is_shared)));
    keys
}

fn build_region_key(build: &Build, plan: &Plan, source: Option<&RootSnapshot>) -> Option<RegionKey> {
    let inherited = source.and_then(|source| source.kms_key_id.clone());
    Some(((&build.region).into(), plan.volume.kms_key_id.clone().or(inherited)?))
}

/// Returns the options by which the image or its snapshots are shared: with accounts or organizations, and with
/// everybody.
fn shares(build: &Build) -> Option<(&'static str, bool)> {
    let (image, sharing) = (&build.spec.image, &build.spec.image.sharing);
    [
        ("ami_groups", &image.groups, true),
        ("snapshot_groups", &sharing.snapshot_groups, true),
        ("ami_users", &image.users, false),
        ("ami_org_arns", &sharing.org_arns, false),
        ("ami_ou_arns", &sharing.ou_arns, false),
        ("snapshot_users", &sharing.snapshot_users, false),
    ]
    .into_iter()
    .find(|(_, who, _)| !who.is_empty())
    .map(|(option, _, public)| (option, public))
}

/// Refuses to share what is encrypted with a default key, and to make public what is encrypted at all, as EC2 would
/// when the build is all but done. `managed` says of each of [`named_keys`] whether it is AWS's own.
///
/// # Errors
/// Permanent, with the region.
pub(crate) fn check_sharing(
    build: &Build,
    plan: &Plan,
    source: Option<&RootSnapshot>,
    managed: &BTreeMap<RegionKey, bool>,
) -> Result<(), Fault> {
    let is_encrypted = plan.volume.encrypted == Some(true) || source.is_some_and(|source| source.encrypted);
    let is_own = |key: Option<RegionKey>| key.is_some_and(|key| managed.get(&key) == Some(&false));
    if is_encrypted && !build.spec.image.account_copies.is_empty() && !is_own(build_region_key(build, plan, source)) {
        return Err(default_key("bakehouse_account_copies", &build.region));
    }
    let Some((option, public)) = shares(build) else { return Ok(()) };
    for (region, there) in &plan.regions {
        // With whom another account shares its copy is its own concern.
        let Some(region) = region.own() else { continue };
        let is_home = region == &build.region;
        if is_home && plan.intermediate || !(is_encrypted || there.encrypted == Some(true)) {
            continue;
        }
        if public {
            return Err(permanent_fault(format!("`{option}` makes the image public, and it is encrypted in {region}"))
                .hint("what is encrypted can be shared with accounts, not with everybody"));
        }
        let key = if is_home {
            build_region_key(build, plan, source)
        } else {
            there.kms_key_id.clone().map(|key| (region.into(), key))
        };
        if !is_own(key) {
            return Err(default_key(option, region));
        }
    }
    Ok(())
}

fn default_key(option: &str, region: &Region) -> Fault {
    permanent_fault(format!(
        "`{option}` shares the image, and in {region} it is encrypted with the account's default key"
    ))
    .hint(format!(
        "others can't use that key: name one of your own for {region} in `region_kms_key_ids`, with `encrypt_boot` true"
    ))
}
