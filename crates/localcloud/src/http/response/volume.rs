//! Volumes and attachments.

use bakehouse_ec2::resource::{Volume, VolumeAttachment};

use super::common::tags;
use crate::{http::xml::Xml, timestamp::iso8601};

pub(crate) fn volume(xml: &mut Xml, it: &Volume) {
    xml.value("volumeId", &it.volume_id);
    xml.value("size", it.size);
    // EC2 has this element even without a snapshot.
    xml.text("snapshotId", it.snapshot_id.as_ref().map(|id| id.as_str()).unwrap_or_default());
    xml.value("availabilityZone", &it.availability_zone);
    xml.text("status", it.state.as_str());
    xml.value("createTime", iso8601(it.create_time));
    xml.list("attachmentSet", &it.attachments, attachment);
    tags(xml, &it.tags);
    xml.text("volumeType", &it.volume_type);
    xml.optional("iops", it.iops);
    xml.optional("throughput", it.throughput);
    xml.value("encrypted", it.encrypted);
    xml.optional("kmsKeyId", it.kms_key_id.as_ref());
    xml.optional("volumeInitializationRate", it.volume_initialization_rate);
    xml.value("multiAttachEnabled", false);
}

pub(crate) fn attachment(xml: &mut Xml, it: &VolumeAttachment) {
    xml.value("volumeId", &it.volume_id);
    xml.value("instanceId", &it.instance_id);
    xml.value("device", &it.device);
    xml.text("status", it.state.as_str());
    xml.value("attachTime", iso8601(it.attach_time));
    xml.value("deleteOnTermination", false);
}
