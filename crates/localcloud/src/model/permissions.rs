//! Changes to who may use an image or a snapshot.

use std::collections::BTreeSet;

use crate::{ApiError, request::PermissionChanges, resource::Permissions};

/// Applies changes to a list of permissions. `code` is what the call answers to an account, a group, an organization or
/// an organizational unit that is none.
pub(super) fn change(
    permissions: &Permissions,
    changes: &PermissionChanges,
    code: &'static str,
) -> Result<Permissions, ApiError> {
    let is_account = |user: &str| user.len() == 12 && user.bytes().all(|b| b.is_ascii_digit());
    check(code, "userId", is_account, &changes.add_users, &changes.remove_users)?;
    check(code, "userGroup", |group| group == "all", &changes.add_groups, &changes.remove_groups)?;
    let (add, remove) = (&changes.add_organizations, &changes.remove_organizations);
    check(code, "organizationArn", |arn| is_arn(arn, "organization/o-"), add, remove)?;
    let (add, remove) = (&changes.add_organizational_units, &changes.remove_organizational_units);
    check(code, "organizationalUnitArn", |arn| is_arn(arn, "ou/o-"), add, remove)?;
    let mut changed = permissions.clone();
    apply(&mut changed.users, &changes.add_users, &changes.remove_users);
    apply(&mut changed.groups, &changes.add_groups, &changes.remove_groups);
    apply(&mut changed.organizations, &changes.add_organizations, &changes.remove_organizations);
    let (add, remove) = (&changes.add_organizational_units, &changes.remove_organizational_units);
    apply(&mut changed.organizational_units, add, remove);
    Ok(changed)
}

fn check(
    code: &'static str,
    kind: &str,
    is_valid: impl Fn(&str) -> bool,
    add: &[String],
    remove: &[String],
) -> Result<(), ApiError> {
    match add.iter().chain(remove).find(|who| !is_valid(who)) {
        None => Ok(()),
        Some(who) => Err(ApiError::new(code, format!("Invalid attribute item value \"{who}\" for {kind} item type."))),
    }
}

/// Whether it is an ARN as `arn:aws:organizations::111122223333:organization/o-abc`.
fn is_arn(text: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "organizations", "", _, last] if last.starts_with(resource))
}

fn apply(to: &mut BTreeSet<String>, add: &[String], remove: &[String]) {
    to.extend(add.iter().cloned());
    to.retain(|who| !remove.contains(who));
}
