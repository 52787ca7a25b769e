//! Images: converts requests and responses between our types and the SDK's.

use aws_sdk_ec2::{Client, primitives::DateTime, types};
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{
    ApiError,
    request::{
        AttachImageWatermark, CopyImage, DeregisterImage, DescribeImages, EnableImageDeprecation,
        EnableImageDeregistrationProtection, ModifyImageAttribute, PermissionChanges, RegisterImage,
    },
    resource::{BlockDeviceMapping, DeleteSnapshotResult, EbsBlockDevice, Image, ImageState, Permissions, ReturnCode},
};
use bakehouse_protocol::{
    ImageId, SnapshotId,
    spec::{Architecture, Virtualization},
};

use crate::ec2::{convert, pages::pages, retries::without_retries};

fn from_described(it: types::Image) -> Result<Image, ApiError> {
    let reason = it.state_reason.and_then(|reason| reason.message);
    let (state, state_reason) = state(it.state, reason)?;
    let architecture = convert::required(it.architecture, "an image's architecture")?;
    let virtualization = convert::required(it.virtualization_type, "an image's virtualization type")?;
    let mappings = it.block_device_mappings.unwrap_or_default();
    let groups = it.public.unwrap_or_default().then(|| "all".to_owned());
    let codes = it.product_codes.unwrap_or_default();
    let watermarks = it.image_watermarks.unwrap_or_default();
    Ok(Image {
        image_id: convert::id::<ImageId>("an image's id", it.image_id)?,
        // A public image may have lost its name.
        name: it.name.unwrap_or_default(),
        description: it.description.unwrap_or_default(),
        owner_id: convert::required(it.owner_id, "an image's owner")?,
        image_owner_alias: it.image_owner_alias.filter(|alias| !alias.is_empty()),
        state,
        state_reason,
        architecture: convert::variant("an image's architecture", architecture.as_str())?,
        virtualization_type: convert::variant("an image's virtualization type", virtualization.as_str())?,
        root_device_name: it.root_device_name.unwrap_or_default(),
        root_device_type: it.root_device_type.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        block_device_mappings: mappings.into_iter().map(mapping).collect::<Result<_, _>>()?,
        creation_date: it.creation_date.unwrap_or_default(),
        deprecation_time: convert::parse_time("when an image is deprecated", it.deprecation_time)?,
        // Only DescribeImageAttribute returns the accounts.
        launch_permission: Permissions { groups: groups.into_iter().collect(), ..Permissions::default() },
        product_codes: codes.into_iter().filter_map(|code| code.product_code_id).collect(),
        source_image_id: convert::optional_id("an image's source", it.source_image_id)?,
        source_image_region: convert::optional_id("an image's source region", it.source_image_region)?,
        ena_support: it.ena_support.unwrap_or_default(),
        sriov_net_support: it.sriov_net_support.filter(|support| !support.is_empty()),
        boot_mode: it.boot_mode.map(|it| it.as_str().to_owned()),
        imds_support: it.imds_support.map(|it| it.as_str().to_owned()),
        tpm_support: it.tpm_support.map(|it| it.as_str().to_owned()),
        // Only DescribeImageAttribute returns it.
        uefi_data: None,
        deregistration_protection: it.deregistration_protection.unwrap_or_default(),
        watermarks: watermarks.into_iter().filter_map(|watermark| watermark.watermark_key).collect(),
        tags: convert::tags(it.tags),
    })
}

/// Converts a state. EC2 has more of them: all that do not become `available` by themselves are failures.
fn state(state: Option<types::ImageState>, reason: Option<String>) -> Result<(ImageState, Option<String>), ApiError> {
    use types::ImageState as SdkState;
    let reason = reason.filter(|reason| !reason.is_empty());
    match convert::required(state, "an image's state")? {
        SdkState::Transient => Ok((ImageState::Pending, reason)),
        failed @ (SdkState::Invalid | SdkState::Error | SdkState::Deregistered | SdkState::Disabled) => {
            Ok((ImageState::Failed, reason.or_else(|| Some(format!("its state is {}", failed.as_str())))))
        }
        other => Ok((convert::variant("an image's state", other.as_str())?, reason)),
    }
}

fn mapping(it: types::BlockDeviceMapping) -> Result<BlockDeviceMapping, ApiError> {
    let ebs = it.ebs.map(|ebs| {
        Ok::<_, ApiError>(EbsBlockDevice {
            snapshot_id: convert::optional_id("a mapping's snapshot", ebs.snapshot_id)?,
            volume_size: convert::optional_count("a mapping's size", ebs.volume_size)?,
            volume_type: ebs.volume_type.map(|it| it.as_str().to_owned()),
            iops: convert::optional_count("a mapping's IOPS", ebs.iops)?,
            throughput: convert::optional_count("a mapping's throughput", ebs.throughput)?,
            delete_on_termination: ebs.delete_on_termination,
            encrypted: ebs.encrypted,
            kms_key_id: ebs.kms_key_id,
        })
    });
    Ok(BlockDeviceMapping {
        device_name: convert::required(it.device_name, "a mapping's device name")?,
        virtual_name: it.virtual_name.filter(|name| !name.is_empty()),
        no_device: it.no_device.is_some(),
        ebs: ebs.transpose()?,
    })
}

fn to_mapping(it: BlockDeviceMapping) -> types::BlockDeviceMapping {
    let ebs = it.ebs.map(|ebs| {
        // With a snapshot, any value for `encrypted` makes RegisterImage fail: the snapshot's own state counts.
        let encrypted = ebs.encrypted.filter(|_| ebs.snapshot_id.is_none());
        types::EbsBlockDevice::builder()
            .set_snapshot_id(ebs.snapshot_id.map(String::from))
            .set_volume_size(ebs.volume_size.map(convert::signed))
            .set_volume_type(ebs.volume_type.as_deref().map(types::VolumeType::from))
            .set_iops(ebs.iops.map(convert::signed))
            .set_throughput(ebs.throughput.map(convert::signed))
            .set_delete_on_termination(ebs.delete_on_termination)
            .set_encrypted(encrypted)
            .set_kms_key_id(ebs.kms_key_id)
            .build()
    });
    types::BlockDeviceMapping::builder()
        .device_name(it.device_name)
        .set_virtual_name(it.virtual_name)
        .set_no_device(it.no_device.then(String::new))
        .set_ebs(ebs)
        .build()
}

pub(crate) async fn describe(client: &Client, page_size: i32, request: DescribeImages) -> Result<Vec<Image>, ApiError> {
    let call = client
        .describe_images()
        .set_image_ids(convert::texts(&request.image_ids))
        .set_owners(convert::non_empty(request.owners))
        .set_filters(convert::filters(request.filters))
        .set_include_deprecated(request.include_deprecated.then_some(true))
        .into_paginator();
    // EC2 takes no MaxResults together with ids.
    let call = if request.image_ids.is_empty() { call.page_size(page_size) } else { call };
    // Kernels and ramdisks are listed among images.
    let images = pages(call.items().send(), |it| {
        let machine = it.image_type.as_ref().is_none_or(|kind| *kind == types::ImageTypeValues::Machine);
        machine.then(|| from_described(it)).transpose()
    });
    Ok(images.await?.into_iter().flatten().collect())
}

/// Registers an image. Not retried: the call has no client token, and a retry would fail as the name is taken.
pub(crate) async fn register(client: &Client, request: RegisterImage) -> Result<ImageId, ApiError> {
    // EC2's defaults, set explicitly.
    let architecture = request.architecture.unwrap_or(Architecture::I386);
    let virtualization = request.virtualization_type.unwrap_or(Virtualization::Paravirtual);
    let mappings = request.block_device_mappings.into_iter().map(to_mapping).collect();
    let created = client
        .register_image()
        .name(request.name)
        .set_description(request.description)
        .architecture(architecture.as_str().into())
        .virtualization_type(virtualization.as_str())
        .set_root_device_name(request.root_device_name)
        .set_block_device_mappings(convert::non_empty(mappings))
        .set_ena_support(request.ena_support)
        .set_sriov_net_support(request.sriov_net_support)
        .set_boot_mode(request.boot_mode.as_deref().map(types::BootModeValues::from))
        .set_imds_support(request.imds_support.as_deref().map(types::ImdsSupportValues::from))
        .set_tpm_support(request.tpm_support.as_deref().map(types::TpmSupportValues::from))
        .set_uefi_data(request.uefi_data)
        .set_tag_specifications(convert::tag_specifications([(types::ResourceType::Image, &request.tags)]))
        .customize()
        .config_override(without_retries())
        .send()
        .await
        .map_err(api_error)?;
    convert::id("an image's id", created.image_id)
}

pub(crate) async fn copy(client: &Client, request: CopyImage) -> Result<ImageId, ApiError> {
    let tags =
        [(types::ResourceType::Image, &request.image_tags), (types::ResourceType::Snapshot, &request.snapshot_tags)];
    let created = client
        .copy_image()
        .name(request.name)
        .set_description(request.description)
        .source_image_id(request.source_image_id)
        .source_region(request.source_region)
        .set_client_token(request.client_token)
        .set_copy_image_tags(request.copy_image_tags.then_some(true))
        .set_encrypted(request.encrypted)
        .set_kms_key_id(request.kms_key_id)
        .set_snapshot_copy_completion_duration_minutes(request.snapshot_copy_completion_duration_minutes.map(i64::from))
        .set_tag_specifications(convert::tag_specifications(tags))
        .send()
        .await
        .map_err(api_error)?;
    convert::id("an image's id", created.image_id)
}

fn permissions(
    users: Vec<String>,
    groups: Vec<String>,
    organizations: Vec<String>,
    units: Vec<String>,
) -> Option<Vec<types::LaunchPermission>> {
    let one = types::LaunchPermission::builder;
    let users = users.into_iter().map(|user| one().user_id(user).build());
    let groups = groups.into_iter().map(|group| one().group(group.as_str().into()).build());
    let organizations = organizations.into_iter().map(|arn| one().organization_arn(arn).build());
    let units = units.into_iter().map(|arn| one().organizational_unit_arn(arn).build());
    convert::non_empty(users.chain(groups).chain(organizations).chain(units).collect())
}

/// Modifies an image's attributes. EC2 takes one attribute in a call; repeating all of them is safe.
pub(crate) async fn modify(client: &Client, request: ModifyImageAttribute) -> Result<(), ApiError> {
    let call = || client.modify_image_attribute().image_id(request.image_id.as_str());
    if let Some(description) = request.description {
        let value = types::AttributeValue::builder().value(description).build();
        call().description(value).send().await.map_err(api_error)?;
    }
    let PermissionChanges {
        add_users,
        add_groups,
        remove_users,
        remove_groups,
        add_organizations,
        add_organizational_units,
        remove_organizations,
        remove_organizational_units,
    } = request.launch_permission;
    let add = permissions(add_users, add_groups, add_organizations, add_organizational_units);
    let remove = permissions(remove_users, remove_groups, remove_organizations, remove_organizational_units);
    if add.is_some() || remove.is_some() {
        let changes = types::LaunchPermissionModifications::builder().set_add(add).set_remove(remove).build();
        call().launch_permission(changes).send().await.map_err(api_error)?;
    }
    if let Some(codes) = convert::non_empty(request.product_codes) {
        let call = call().attribute("productCodes").operation_type(types::OperationType::Add);
        call.set_product_codes(Some(codes)).send().await.map_err(api_error)?;
    }
    if let Some(support) = request.imds_support {
        let value = types::AttributeValue::builder().value(support).build();
        call().imds_support(value).send().await.map_err(api_error)?;
    }
    Ok(())
}

/// Returns who may launch an image.
pub(crate) async fn launch_permission(client: &Client, image: &ImageId) -> Result<Permissions, ApiError> {
    let attribute = types::ImageAttributeName::LaunchPermission;
    let call = client.describe_image_attribute().image_id(image.as_str()).attribute(attribute);
    let response = call.send().await.map_err(api_error)?;
    let mut found = Permissions::default();
    for permission in response.launch_permissions.unwrap_or_default() {
        found.users.extend(permission.user_id);
        found.groups.extend(permission.group.map(|group| group.as_str().to_owned()));
        found.organizations.extend(permission.organization_arn);
        found.organizational_units.extend(permission.organizational_unit_arn);
    }
    Ok(found)
}

pub(crate) async fn deprecate(client: &Client, request: EnableImageDeprecation) -> Result<(), ApiError> {
    let at = DateTime::from_millis(i64::try_from(request.deprecate_at.0).unwrap_or(i64::MAX));
    let call = client.enable_image_deprecation().image_id(request.image_id).deprecate_at(at);
    call.send().await.map(drop).map_err(api_error)
}

pub(crate) async fn protect(client: &Client, request: EnableImageDeregistrationProtection) -> Result<(), ApiError> {
    let call = client.enable_image_deregistration_protection().image_id(request.image_id);
    call.with_cooldown(request.with_cooldown).send().await.map(drop).map_err(api_error)
}

pub(crate) async fn unprotect(client: &Client, image: &ImageId) -> Result<(), ApiError> {
    let call = client.disable_image_deregistration_protection().image_id(image.as_str());
    call.send().await.map(drop).map_err(api_error)
}

pub(crate) async fn attach_watermark(client: &Client, request: AttachImageWatermark) -> Result<(), ApiError> {
    let call = client.attach_image_watermark().image_id(request.image_id).watermark_name(request.watermark_name);
    call.send().await.map(drop).map_err(api_error)
}

pub(crate) async fn deregister(
    client: &Client,
    request: DeregisterImage,
) -> Result<Vec<DeleteSnapshotResult>, ApiError> {
    let response = client
        .deregister_image()
        .image_id(request.image_id)
        .set_delete_associated_snapshots(request.delete_associated_snapshots.then_some(true))
        .send()
        .await
        .map_err(api_error)?;
    response.delete_snapshot_results.unwrap_or_default().into_iter().map(result).collect()
}

/// Converts the result of deleting a snapshot. A snapshot that could not be deleted is an error here: as the image is
/// gone, nothing would lead to it any more.
fn result(it: types::DeleteSnapshotReturnCode) -> Result<DeleteSnapshotResult, ApiError> {
    let snapshot_id: SnapshotId = convert::id("a deleted snapshot's id", it.snapshot_id)?;
    let code = convert::required(it.return_code, "the result of deleting a snapshot")?;
    let failed = |code, why| Err(ApiError::new(code, format!("the image is deregistered, but {snapshot_id} {why}")));
    match code.as_str() {
        "success" => Ok(DeleteSnapshotResult { snapshot_id, return_code: ReturnCode::Success }),
        "skipped" => Ok(DeleteSnapshotResult { snapshot_id, return_code: ReturnCode::Skipped }),
        "missing-permissions" => Err(ApiError::new(
            "UnauthorizedOperation",
            format!("not authorized to perform: ec2:DeleteSnapshot on resource: {snapshot_id}"),
        )),
        "internal-error" => failed("InternalError", "could not be deleted"),
        "client-error" => failed("InvalidRequest", "could not be deleted: client-error"),
        other => failed(ApiError::NOT_UNDERSTOOD, &format!("has the result \"{other}\", which is not known here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> types::builders::ImageBuilder {
        let ebs =
            types::EbsBlockDevice::builder().snapshot_id("snap-0123456789abcdef0").volume_size(8).encrypted(false);
        let root = types::BlockDeviceMapping::builder().device_name("/dev/xvda").ebs(ebs.build()).build();
        types::Image::builder()
            .image_id("ami-0123456789abcdef0")
            .name("base")
            .owner_id("111122223333")
            .state(types::ImageState::Available)
            .architecture(types::ArchitectureValues::Arm64)
            .virtualization_type(types::VirtualizationType::Hvm)
            .root_device_name("/dev/xvda")
            .root_device_type(types::DeviceType::Ebs)
            .public(true)
            .boot_mode(types::BootModeValues::from("uefi"))
            .deprecation_time("2028-01-01T00:00:00.000Z")
            .block_device_mappings(root)
    }

    #[test]
    fn an_image_is_read_with_its_mappings() {
        let image = from_described(described().build()).unwrap();
        assert_eq!(image.architecture, Architecture::Arm64);
        assert_eq!(image.root_snapshot().unwrap().as_str(), "snap-0123456789abcdef0");
        assert!(image.public());
        assert_eq!(image.boot_mode.as_deref(), Some("uefi"));
        assert_eq!(image.deprecation_time.unwrap().0, 1_830_297_600_000);
    }

    #[test]
    fn each_state_is_one_of_ours_or_an_error() {
        let read = |text: &str| state(Some(text.into()), None);
        assert_eq!(read("pending"), Ok((ImageState::Pending, None)));
        assert_eq!(read("transient"), Ok((ImageState::Pending, None)));
        for failed in ["failed", "invalid", "error", "deregistered", "disabled"] {
            assert_eq!(read(failed).unwrap().0, ImageState::Failed, "{failed}");
        }
        assert_eq!(read("disabled").unwrap().1.as_deref(), Some("its state is disabled"));
        assert!(read("dreaming").unwrap_err().message.contains("\"dreaming\""));
        let error = from_described(described().architecture("riscv64".into()).build()).unwrap_err();
        assert!(error.message.contains("\"riscv64\""), "{error}");
    }

    #[test]
    fn encryption_is_never_sent_with_a_snapshot() {
        let ebs = EbsBlockDevice {
            snapshot_id: Some(SnapshotId::new("snap-01234567").unwrap()),
            encrypted: Some(false),
            ..EbsBlockDevice::default()
        };
        let with = |ebs| BlockDeviceMapping { device_name: "/dev/sda1".into(), ebs: Some(ebs), ..Default::default() };
        let sent = to_mapping(with(ebs.clone())).ebs.unwrap();
        assert_eq!((sent.encrypted, sent.kms_key_id), (None, None));
        assert_eq!(sent.snapshot_id.as_deref(), Some("snap-01234567"));
        let empty = to_mapping(with(EbsBlockDevice { snapshot_id: None, ..ebs })).ebs.unwrap();
        assert_eq!(empty.encrypted, Some(false));
    }

    #[test]
    fn mappings_without_a_volume_keep_their_form() {
        let none = BlockDeviceMapping { device_name: "/dev/sdb".into(), no_device: true, ..Default::default() };
        assert_eq!(to_mapping(none.clone()).no_device.as_deref(), Some(""));
        assert_eq!(mapping(to_mapping(none.clone())), Ok(none));
        let instance_store = BlockDeviceMapping {
            device_name: "/dev/sdc".into(),
            virtual_name: Some("ephemeral0".into()),
            ..Default::default()
        };
        assert_eq!(mapping(to_mapping(instance_store.clone())), Ok(instance_store));
    }

    #[test]
    fn a_snapshot_that_stays_is_an_error() {
        let code = |code: &str| {
            let it = types::DeleteSnapshotReturnCode::builder().snapshot_id("snap-01234567").return_code(code.into());
            result(it.build())
        };
        assert_eq!(code("success").unwrap().return_code, ReturnCode::Success);
        assert_eq!(code("skipped").unwrap().return_code, ReturnCode::Skipped);
        assert_eq!(code("missing-permissions").unwrap_err().code, "UnauthorizedOperation");
        assert_eq!(code("internal-error").unwrap_err().code, "InternalError");
        assert_eq!(code("eaten").unwrap_err().code, ApiError::NOT_UNDERSTOOD);
    }
}
