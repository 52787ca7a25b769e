//! Snapshots.

use bakehouse_ec2::{ApiError, resource::Snapshot};

use super::common::{permissions, tags};
use crate::{
    http::{params::invalid_value, xml::Xml},
    timestamp::iso8601,
};

pub(crate) fn snapshot(xml: &mut Xml, it: &Snapshot) {
    xml.value("snapshotId", &it.snapshot_id);
    xml.value("volumeId", &it.volume_id);
    xml.text("status", it.state.as_str());
    xml.optional("statusMessage", it.state_message.as_ref());
    xml.value("startTime", iso8601(it.start_time));
    xml.text("progress", &it.progress);
    xml.text("ownerId", &it.owner_id);
    xml.value("volumeSize", it.volume_size);
    xml.text("description", &it.description);
    tags(xml, &it.tags);
    xml.value("encrypted", it.encrypted);
    xml.optional("kmsKeyId", it.kms_key_id.as_ref());
    xml.text("storageTier", "standard");
}

pub(crate) fn attribute(xml: &mut Xml, it: &Snapshot, name: &str) -> Result<(), ApiError> {
    xml.value("snapshotId", &it.snapshot_id);
    match name {
        "createVolumePermission" => permissions(xml, name, &it.create_volume_permission),
        "productCodes" => xml.list(name, std::iter::empty::<()>(), |_, ()| {}),
        other => return Err(invalid_value("attribute", other)),
    }
    Ok(())
}
