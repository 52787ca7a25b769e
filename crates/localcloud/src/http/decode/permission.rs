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
    let read = |list: &str, name: &str| -> Vec<String> {
        node.nodes(list).iter().filter_map(|item| owned(item.non_empty(name))).collect()
    };
    PermissionChanges {
        add_users: read("Add", "UserId"),
        add_groups: read("Add", "Group"),
        remove_users: read("Remove", "UserId"),
        remove_groups: read("Remove", "Group"),
        add_organizations: read("Add", "OrganizationArn"),
        add_organizational_units: read("Add", "OrganizationalUnitArn"),
        remove_organizations: read("Remove", "OrganizationArn"),
        remove_organizational_units: read("Remove", "OrganizationalUnitArn"),
    }
}

/// Permissions in either form. Packer sends both, the second one without its operation: then both must name the same.
fn permissions(node: &Node<'_>, name: &str) -> Result<PermissionChanges, ApiError> {
    let changes = structured(&node.node(name));
    let operation = node.non_empty("OperationType");
    let flat = ["UserId", "UserGroup", "OrganizationArn", "OrganizationalUnitArn"].map(|list| node.texts(list));
    let none = PermissionChanges::default();
    if changes != none {
        let given = [
            (&changes.add_users, &changes.remove_users),
            (&changes.add_groups, &changes.remove_groups),
            (&changes.add_organizations, &changes.remove_organizations),
            (&changes.add_organizational_units, &changes.remove_organizational_units),
        ];
        let same = flat
            .iter()
            .zip(given)
            .all(|(flat, (add, remove))| flat.iter().all(|who| add.contains(who) || remove.contains(who)));
        return if same { Ok(changes) } else { Err(combination("Permissions may be given in one form only")) };
    }
    let nothing = flat.iter().all(Vec::is_empty);
    let [users, groups, organizations, units] = flat;
    match operation {
        None if nothing => Ok(none),
        None => Err(ApiError::new("MissingParameter", "The request must contain the parameter OperationType")),
        Some("add") => Ok(PermissionChanges {
            add_users: users,
            add_groups: groups,
            add_organizations: organizations,
            add_organizational_units: units,
            ..none
        }),
        Some("remove") => Ok(PermissionChanges {
            remove_users: users,
            remove_groups: groups,
            remove_organizations: organizations,
            remove_organizational_units: units,
            ..none
        }),
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
        imds_support: owned(node.node("ImdsSupport").non_empty("Value")),
    };
    let given = [
        ("description", request.description.is_some()),
        ("launchPermission", request.launch_permission != PermissionChanges::default()),
        ("productCodes", !request.product_codes.is_empty()),
        ("imdsSupport", request.imds_support.is_some()),
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
