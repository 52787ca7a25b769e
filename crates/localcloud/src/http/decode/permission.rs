//! ModifyImageAttribute and ModifySnapshotAttribute. EC2 accepts permissions in two forms:
//!
//! ```text
//! LaunchPermission.Add.1.UserId=1234            CreateVolumePermission.Remove.1.Group=all
//! Attribute=launchPermission&OperationType=add&UserId.1=1234&UserGroup.1=all
//! ```

use bakehouse_ec2::ApiError;

use super::fields::{id, owned};
use crate::{
    http::params::{Node, invalid_value},
    request::{ModifyImageAttribute, ModifySnapshotAttribute, PermissionChanges},
};

fn combination(message: &str) -> ApiError {
    ApiError::new("InvalidParameterCombination", message)
}

/// The changes under `Add` and `Remove`.
fn structured(node: &Node<'_>) -> PermissionChanges {
    let read = |list: &str| {
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for item in node.nodes(list) {
            users.extend(owned(item.non_empty("UserId")));
            groups.extend(owned(item.non_empty("Group")));
        }
        (users, groups)
    };
    let ((add_users, add_groups), (remove_users, remove_groups)) = (read("Add"), read("Remove"));
    PermissionChanges { add_users, add_groups, remove_users, remove_groups }
}

/// Permissions in either form. Packer sends both, the second one without its operation: then both must name the same
/// accounts and groups.
fn permissions(node: &Node<'_>, name: &str) -> Result<PermissionChanges, ApiError> {
    let changes = structured(&node.node(name));
    let operation = node.non_empty("OperationType");
    let (users, groups) = (node.texts("UserId"), node.texts("UserGroup"));
    let none = PermissionChanges::default();
    if changes != none {
        let has = |flat: &[String], add: &[String], remove: &[String]| {
            flat.iter().all(|who| add.contains(who) || remove.contains(who))
        };
        let same = has(&users, &changes.add_users, &changes.remove_users)
            && has(&groups, &changes.add_groups, &changes.remove_groups);
        return if same { Ok(changes) } else { Err(combination("Permissions may be given in one form only")) };
    }
    match operation {
        None if users.is_empty() && groups.is_empty() => Ok(none),
        None => Err(ApiError::new("MissingParameter", "The request must contain the parameter OperationType")),
        Some("add") => Ok(PermissionChanges { add_users: users, add_groups: groups, ..none }),
        Some("remove") => Ok(PermissionChanges { remove_users: users, remove_groups: groups, ..none }),
        Some(other) => Err(invalid_value("operationType", other)),
    }
}

pub(crate) fn modify_image_attribute_request(node: &Node<'_>) -> Result<ModifyImageAttribute, ApiError> {
    let attribute = node.non_empty("Attribute");
    let value = owned(node.text("Value"));
    let described = owned(node.node("Description").text("Value"));
    let request = ModifyImageAttribute {
        image_id: id(node.required("ImageId")?)?,
        description: match (attribute, described, value) {
            (Some("description"), None, Some(value)) => Some(value),
            (_, described, None) => described,
            _ => return Err(combination("A Value needs the Attribute description")),
        },
        launch_permission: permissions(node, "LaunchPermission")?,
        product_codes: node.texts("ProductCode"),
    };
    let given = [
        ("description", request.description.is_some()),
        ("launchPermission", request.launch_permission != PermissionChanges::default()),
        ("productCodes", !request.product_codes.is_empty()),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    match (attribute, &given[..]) {
        (_, []) => Err(combination("The request must change one attribute")),
        (Some(attribute), [only]) if !attribute.eq_ignore_ascii_case(only) => {
            Err(combination(&format!("The Attribute is {attribute}, but what is given is {only}")))
        }
        (_, [_]) => Ok(request),
        _ => Err(combination("Only one attribute may be changed in a call")),
    }
}

pub(crate) fn modify_snapshot_attribute_request(node: &Node<'_>) -> Result<ModifySnapshotAttribute, ApiError> {
    match node.non_empty("Attribute") {
        None | Some("createVolumePermission") => {}
        Some(other) => return Err(invalid_value("attribute", other)),
    }
    let snapshot_id = id(node.required("SnapshotId")?)?;
    Ok(ModifySnapshotAttribute { snapshot_id, create_volume_permission: permissions(node, "CreateVolumePermission")? })
}
