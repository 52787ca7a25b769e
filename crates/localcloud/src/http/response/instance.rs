//! Instances, their states and types.

use bakehouse_ec2::resource::{Instance, InstanceState};
use bakehouse_protocol::InstanceId;

use super::common::tags;
use crate::http::xml::Xml;

fn state(xml: &mut Xml, name: &str, state: InstanceState) {
    let code = match state {
        InstanceState::Pending => 0,
        InstanceState::Running => 16,
        InstanceState::ShuttingDown => 32,
        InstanceState::Terminated => 48,
        InstanceState::Stopping => 64,
        InstanceState::Stopped => 80,
    };
    xml.element(name, |xml| {
        xml.value("code", code);
        xml.text("name", state.as_str());
    });
}

/// A reservation with its one instance.
pub(crate) fn reservation(xml: &mut Xml, it: &Instance, account: &str) {
    xml.text("reservationId", &it.instance_id.as_str().replacen("i-", "r-", 1));
    xml.text("ownerId", account);
    xml.list("groupSet", std::iter::empty::<()>(), |_, ()| {});
    xml.list("instancesSet", [it], instance);
}

fn instance(xml: &mut Xml, it: &Instance) {
    xml.value("instanceId", &it.instance_id);
    xml.optional("imageId", it.image_id.as_ref());
    state(xml, "instanceState", it.state);
    xml.text("instanceType", &it.instance_type);
    xml.value("amiLaunchIndex", 0);
    xml.element("placement", |xml| {
        xml.value("availabilityZone", &it.availability_zone);
        xml.text("tenancy", "default");
    });
    xml.text("architecture", it.architecture.as_str());
    xml.text("rootDeviceType", "ebs");
    xml.text("rootDeviceName", "/dev/sda1");
    xml.list("blockDeviceMapping", &it.block_device_mappings, |xml, it| {
        xml.value("deviceName", &it.device_name);
        xml.element("ebs", |xml| {
            xml.value("volumeId", &it.volume_id);
            xml.text("status", it.status.as_str());
            xml.value("deleteOnTermination", false);
        });
    });
    xml.text("virtualizationType", "hvm");
    tags(xml, &it.tags);
    xml.text("hypervisor", "xen");
    xml.value("enaSupport", true);
}

/// A change of state by StartInstances or StopInstances.
pub(crate) fn change(xml: &mut Xml, id: &InstanceId, now: InstanceState, before: InstanceState) {
    xml.value("instanceId", id);
    state(xml, "currentState", now);
    state(xml, "previousState", before);
}

pub(crate) fn status(xml: &mut Xml, it: &Instance) {
    xml.value("instanceId", &it.instance_id);
    xml.value("availabilityZone", &it.availability_zone);
    state(xml, "instanceState", it.state);
    let status = if it.state == InstanceState::Running { "ok" } else { "not-applicable" };
    for name in ["systemStatus", "instanceStatus"] {
        xml.element(name, |xml| xml.text("status", status));
    }
}

/// An instance type, as far as it is known: how many volumes can be attached.
pub(crate) fn instance_type(xml: &mut Xml, it: &Instance) {
    xml.text("instanceType", &it.instance_type);
    xml.value("currentGeneration", true);
    xml.list("supportedVirtualizationTypes", ["hvm"], |xml, text| xml.content(text));
    xml.text("hypervisor", "nitro");
    xml.element("processorInfo", |xml| {
        xml.list("supportedArchitectures", [it.architecture.as_str()], |xml, text| xml.content(text));
    });
    xml.element("ebsInfo", |xml| {
        xml.text("ebsOptimizedSupport", "default");
        xml.text("encryptionSupport", "unsupported");
        xml.text("nvmeSupport", "required");
        // Shared by the network interface, the root volume and other volumes.
        xml.value("maximumEbsAttachments", 28);
        xml.text("attachmentLimitType", "shared");
    });
}
