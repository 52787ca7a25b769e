//! Changes to who may use an image or a snapshot.

use crate::{ApiError, request::PermissionChanges, resource::Permissions};

/// Applies changes to a list of permissions. `code` is what the call answers to an account or group that is none.
pub(super) fn change(
    permissions: &Permissions,
    changes: &PermissionChanges,
    code: &'static str,
) -> Result<Permissions, ApiError> {
    let mut changed = permissions.clone();
    for user in changes.add_users.iter().chain(&changes.remove_users) {
        if user.len() != 12 || !user.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ApiError::new(code, format!("Invalid attribute item value \"{user}\" for userId item type.")));
        }
    }
    for group in changes.add_groups.iter().chain(&changes.remove_groups) {
        if group != "all" {
            return Err(ApiError::new(
                code,
                format!("Invalid attribute item value \"{group}\" for userGroup item type."),
            ));
        }
    }
    changed.users.extend(changes.add_users.iter().cloned());
    changed.groups.extend(changes.add_groups.iter().cloned());
    changed.users.retain(|user| !changes.remove_users.contains(user));
    changed.groups.retain(|group| !changes.remove_groups.contains(group));
    Ok(changed)
}
