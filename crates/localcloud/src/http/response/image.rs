//! Images.

use bakehouse_ec2::{
    ApiError,
    resource::{BlockDeviceMapping, DeleteSnapshotResult, Image},
};

use super::common::{permissions, tags};
use crate::{
    http::{params::invalid_value, xml::Xml},
    timestamp::iso8601,
};

pub(crate) fn image(xml: &mut Xml, it: &Image) {
    xml.value("imageId", &it.image_id);
    xml.text("imageLocation", &format!("{}/{}", it.owner_id, it.name));
    xml.text("imageState", it.state.as_str());
    xml.text("imageOwnerId", &it.owner_id);
    xml.text("creationDate", &it.creation_date);
    xml.value("isPublic", it.public());
    product_codes(xml, it);
    xml.text("architecture", it.architecture.as_str());
    xml.text("imageType", "machine");
    if let Some(why) = &it.state_reason {
        xml.element("stateReason", |xml| {
            xml.text("code", "Server.InternalError");
            xml.text("message", why);
        });
    }
    xml.optional("sriovNetSupport", it.sriov_net_support.as_ref());
    xml.optional("imageOwnerAlias", it.image_owner_alias.as_ref());
    xml.text("name", &it.name);
    // EC2 omits an empty one.
    xml.optional("description", Some(&it.description).filter(|text| !text.is_empty()));
    xml.text("rootDeviceType", &it.root_device_type);
    xml.text("rootDeviceName", &it.root_device_name);
    mappings(xml, &it.block_device_mappings);
    xml.text("virtualizationType", it.virtualization_type.as_str());
    tags(xml, &it.tags);
    xml.text("hypervisor", "xen");
    xml.value("enaSupport", it.ena_support);
    xml.optional("bootMode", it.boot_mode.as_ref());
    xml.optional("tpmSupport", it.tpm_support.as_ref());
    xml.optional("imdsSupport", it.imds_support.as_ref());
    xml.text("platformDetails", "Linux/UNIX");
    xml.text("usageOperation", "RunInstances");
    xml.optional("deprecationTime", it.deprecation_time.map(iso8601));
    xml.optional("sourceImageId", it.source_image_id.as_ref());
    xml.optional("sourceImageRegion", it.source_image_region.as_ref());
    xml.text("deregistrationProtection", &it.deregistration_protection);
    if !it.watermarks.is_empty() {
        xml.list("imageWatermarkSet", &it.watermarks, |xml, key| xml.text("watermarkKey", key));
    }
}

fn product_codes(xml: &mut Xml, it: &Image) {
    xml.list("productCodes", &it.product_codes, |xml, code| {
        xml.text("productCode", code);
        xml.text("type", "marketplace");
    });
}

fn mappings(xml: &mut Xml, mappings: &[BlockDeviceMapping]) {
    xml.list("blockDeviceMapping", mappings, |xml, it| {
        xml.text("deviceName", &it.device_name);
        xml.optional("virtualName", it.virtual_name.as_ref());
        if it.no_device {
            xml.text("noDevice", "");
        }
        let Some(ebs) = &it.ebs else {
            return;
        };
        xml.element("ebs", |xml| {
            xml.optional("snapshotId", ebs.snapshot_id.as_ref());
            xml.optional("volumeSize", ebs.volume_size);
            xml.optional("deleteOnTermination", ebs.delete_on_termination);
            xml.optional("volumeType", ebs.volume_type.as_ref());
            xml.optional("iops", ebs.iops);
            xml.optional("throughput", ebs.throughput);
            xml.optional("encrypted", ebs.encrypted);
        });
    });
}

pub(crate) fn attribute(xml: &mut Xml, it: &Image, name: &str) -> Result<(), ApiError> {
    xml.value("imageId", &it.image_id);
    let text = |xml: &mut Xml, value: Option<&String>| {
        xml.element(name, |xml| xml.optional("value", value));
    };
    match name {
        "launchPermission" => permissions(xml, name, &it.launch_permission),
        "productCodes" => product_codes(xml, it),
        "blockDeviceMapping" => mappings(xml, &it.block_device_mappings),
        "description" => text(xml, Some(&it.description).filter(|text| !text.is_empty())),
        "sriovNetSupport" => text(xml, it.sriov_net_support.as_ref()),
        "bootMode" => text(xml, it.boot_mode.as_ref()),
        "tpmSupport" => text(xml, it.tpm_support.as_ref()),
        "imdsSupport" => text(xml, it.imds_support.as_ref()),
        "deregistrationProtection" => text(xml, Some(&it.deregistration_protection)),
        "uefiData" => text(xml, it.uefi_data.as_ref()),
        "kernel" | "ramdisk" | "lastLaunchedTime" => text(xml, None),
        other => return Err(invalid_value("attribute", other)),
    }
    Ok(())
}

pub(crate) fn deleted(xml: &mut Xml, results: &[DeleteSnapshotResult]) {
    xml.list("deleteSnapshotResultSet", results, |xml, it| {
        xml.value("snapshotId", &it.snapshot_id);
        xml.text("returnCode", it.return_code.as_str());
    });
}
