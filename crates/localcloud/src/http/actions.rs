//! The actions by name: decode the parameters, make the call, write the answer.

use bakehouse_ec2::{ApiError, resource::InstanceState};
use bakehouse_protocol::{ImageId, InstanceId};
use pollster::FutureExt as _;

use crate::{
    EmbeddedCloud,
    http::{
        call::{Action, Call, Performed, Transition},
        decode, describe_misc, response, sts,
        xml::Xml,
    },
    request::{DescribeImages, DescribeInstances, DescribeVolumes},
};

/// The version of EC2's API.
const EC2: &str = "2016-11-15";
const ACTIONS: &[(&str, Action)] = &[
    ("AttachImageWatermark", answer_attach_image_watermark),
    ("AttachVolume", answer_attach_volume),
    ("CopyImage", answer_copy_image),
    ("CreateSnapshot", answer_create_snapshot),
    ("CreateTags", answer_create_tags),
    ("CreateVolume", answer_create_volume),
    ("DeleteSnapshot", answer_delete_snapshot),
    ("DeleteVolume", answer_delete_volume),
    ("DeregisterImage", answer_deregister_image),
    ("DescribeAccountAttributes", describe_misc::account_attributes),
    ("DescribeAvailabilityZones", describe_misc::availability_zones),
    ("DescribeImageAttribute", describe_misc::image_attribute),
    ("DescribeImages", answer_describe_images),
    ("DescribeInstanceStatus", describe_misc::instance_status),
    ("DescribeInstanceTypes", describe_misc::instance_types),
    ("DescribeInstances", answer_describe_instances),
    ("DescribeRegions", describe_misc::regions),
    ("DescribeSnapshotAttribute", describe_misc::snapshot_attribute),
    ("DescribeSnapshots", answer_describe_snapshots),
    ("DescribeTags", describe_misc::tags),
    ("DescribeVolumes", answer_describe_volumes),
    ("DetachVolume", answer_detach_volume),
    ("DisableImageDeprecation", answer_disable_image_deprecation),
    ("DisableImageDeregistrationProtection", answer_disable_image_deregistration_protection),
    ("EnableImageDeprecation", answer_enable_image_deprecation),
    ("EnableImageDeregistrationProtection", answer_enable_image_deregistration_protection),
    ("ModifyImageAttribute", answer_modify_image_attribute),
    ("ModifySnapshotAttribute", answer_modify_snapshot_attribute),
    ("RegisterImage", answer_register_image),
    ("StartInstances", answer_start_instances),
    ("StopInstances", answer_stop_instances),
];

/// The names of the actions.
pub fn names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().chain(sts::ACTIONS).map(|(name, _)| *name)
}

/// Performs an action.
///
/// # Errors
/// `InvalidAction` for an unknown one, `NoSuchVersion`, and those of the action.
pub(crate) fn perform(action: &str, call: Call<'_>) -> Result<Performed, ApiError> {
    let version = call.params.all().get("Version").map(String::as_str).unwrap_or_default();
    let mut xml = Xml::document();
    if let Some((_, perform)) = sts::ACTIONS.iter().find(|(name, _)| *name == action) {
        check_version(version, sts::VERSION)?;
        let mut result = Ok(());
        let namespace = format!("https://sts.amazonaws.com/doc/{}/", sts::VERSION);
        xml.root(&format!("{action}Response"), &namespace, |xml| {
            xml.element(&format!("{action}Result"), |xml| result = perform(&call, xml));
            xml.element("ResponseMetadata", |xml| xml.text("RequestId", call.request_id));
        });
        result?;
    } else {
        let Some((_, perform)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
            let message = format!(
                "The action {action} is not valid for this web service: it is not among those that the embedded \
                 cloud serves"
            );
            return Err(ApiError::new("InvalidAction", message));
        };
        check_version(version, EC2)?;
        let mut result = Ok(());
        xml.root(&format!("{action}Response"), &format!("http://ec2.amazonaws.com/doc/{EC2}/"), |xml| {
            xml.text("requestId", call.request_id);
            result = perform(&call, xml);
        });
        result?;
    }
    Ok(Performed { body: xml.into_string(), transitions: call.transitions.into_inner() })
}

fn check_version(given: &str, served: &str) -> Result<(), ApiError> {
    if given == served {
        return Ok(());
    }
    let message = format!("The requested version ({given}) is not valid; {served} is served");
    Err(ApiError::new("NoSuchVersion", message))
}

fn answer_describe_instances(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (request, paging) = call.read(decode::describe_instances_request)?;
    let all = call.cloud.describe_instances(call.region, request).block_on()?;
    let (page, token) = paging.cut(all, |it| it.instance_id.to_string());
    xml.list("reservationSet", &page, |xml, it| response::instance::reservation(xml, it, call.account));
    response::next(xml, token);
    Ok(())
}

fn answer_describe_images(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (request, paging) = call.read(decode::describe_images_request)?;
    let all = call.cloud.describe_images(call.region, request).block_on()?;
    let (page, token) = paging.cut(all, |it| it.image_id.to_string());
    xml.list("imagesSet", &page, response::image::image);
    response::next(xml, token);
    Ok(())
}

fn answer_describe_snapshots(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (request, paging) = call.read(decode::describe_snapshots_request)?;
    let all = call.cloud.describe_snapshots(call.region, request).block_on()?;
    let (page, token) = paging.cut(all, |it| it.snapshot_id.to_string());
    xml.list("snapshotSet", &page, response::snapshot::snapshot);
    response::next(xml, token);
    Ok(())
}

fn answer_describe_volumes(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (request, paging) = call.read(decode::describe_volumes_request)?;
    let all = call.cloud.describe_volumes(call.region, request).block_on()?;
    let (page, token) = paging.cut(all, |it| it.volume_id.to_string());
    xml.list("volumeSet", &page, response::volume::volume);
    response::next(xml, token);
    Ok(())
}

fn answer_create_volume(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::create_volume_request)?;
    let volume = call.cloud.create_volume(call.region, request).block_on()?;
    call.begin(Transition::CreateVolume(volume.volume_id.clone()));
    response::volume::volume(xml, &volume);
    Ok(())
}

fn answer_attach_volume(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::attach_volume_request)?;
    response::volume::attachment(xml, &call.cloud.attach_volume(call.region, request).block_on()?);
    Ok(())
}

fn answer_detach_volume(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (request, device) = call.read(decode::detach_volume_request)?;
    if let Some(device) = device {
        let describe = DescribeVolumes { volume_ids: vec![request.volume_id.clone()], filters: Vec::new() };
        let volumes = call.cloud.describe_volumes(call.region, describe).block_on()?;
        if !volumes.iter().flat_map(|volume| &volume.attachments).any(|it| it.device == device) {
            let message = format!("The volume '{}' is not attached as device '{device}'.", request.volume_id);
            return Err(ApiError::new("InvalidAttachment.NotFound", message));
        }
    }
    response::volume::attachment(xml, &call.cloud.detach_volume(call.region, request).block_on()?);
    Ok(())
}

fn answer_delete_volume(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::delete_volume_request)?;
    let id = request.volume_id.clone();
    call.cloud.delete_volume(call.region, request).block_on()?;
    call.begin(Transition::DeleteVolume(id));
    response::done(xml);
    Ok(())
}

fn answer_create_snapshot(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::create_snapshot_request)?;
    let snapshot = call.cloud.create_snapshot(call.region, request).block_on()?;
    call.begin(Transition::CreateSnapshot(snapshot.snapshot_id.clone()));
    response::snapshot::snapshot(xml, &snapshot);
    Ok(())
}

fn answer_delete_snapshot(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let snapshot = call.read(decode::delete_snapshot_request)?;
    call.cloud.delete_snapshot(call.region, &snapshot).block_on()?;
    response::done(xml);
    Ok(())
}

fn answer_register_image(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::register_image_request)?;
    let image = call.cloud.register_image(call.region, request).block_on()?;
    xml.value("imageId", &image);
    call.begin(Transition::CreateImage(image));
    Ok(())
}

fn answer_copy_image(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::copy_image_request)?;
    let image = call.cloud.copy_image(call.region, request).block_on()?;
    xml.value("imageId", &image);
    call.begin(Transition::CreateImage(image));
    Ok(())
}

fn answer_deregister_image(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::deregister_image_request)?;
    let id = request.image_id.clone();
    let deleted = call.cloud.deregister_image(call.region, request).block_on()?;
    call.begin(Transition::DeregisterImage(id));
    response::done(xml);
    response::image::deleted(xml, &deleted);
    Ok(())
}

fn answer_modify_image_attribute(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::modify_image_attribute_request)?;
    call.cloud.modify_image_attribute(call.region, request).block_on()?;
    response::done(xml);
    Ok(())
}

fn answer_modify_snapshot_attribute(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::modify_snapshot_attribute_request)?;
    call.cloud.modify_snapshot_attribute(call.region, request).block_on()?;
    response::done(xml);
    Ok(())
}

fn answer_enable_image_deprecation(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::enable_image_deprecation_request)?;
    call.cloud.enable_image_deprecation(call.region, request).block_on()?;
    response::done(xml);
    Ok(())
}

fn answer_disable_image_deprecation(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let image = call.read(decode::image_id)?;
    call.cloud.disable_image_deprecation(call.region, &image)?;
    response::done(xml);
    Ok(())
}

/// The calls about protection return what it is then.
fn answer_protection(call: &Call<'_>, xml: &mut Xml, image: ImageId) -> Result<(), ApiError> {
    let request = DescribeImages { image_ids: vec![image], ..DescribeImages::default() };
    let described = call.cloud.describe_images(call.region, request).block_on()?;
    xml.optional("return", described.first().map(|image| &image.deregistration_protection));
    Ok(())
}

fn answer_enable_image_deregistration_protection(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::enable_image_deregistration_protection_request)?;
    let image = request.image_id.clone();
    call.cloud.enable_image_deregistration_protection(call.region, request).block_on()?;
    answer_protection(call, xml, image)
}

fn answer_disable_image_deregistration_protection(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let image = call.read(decode::image_id)?;
    call.cloud.disable_image_deregistration_protection(call.region, &image).block_on()?;
    answer_protection(call, xml, image)
}

fn answer_attach_image_watermark(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::attach_image_watermark_request)?;
    let key = format!("{}:{}", call.account, request.watermark_name);
    call.cloud.attach_image_watermark(call.region, request).block_on()?;
    xml.text("watermarkKey", &key);
    Ok(())
}

fn answer_start_instances(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let instances = call.read(decode::start_instances_request)?;
    let (through, to) = (InstanceState::Pending, InstanceState::Running);
    switch(call, xml, instances, (through, to), |cloud, id| cloud.start_instances(call.region, id).block_on())
}

fn answer_stop_instances(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let instances = call.read(decode::stop_instances_request)?;
    let (through, to) = (InstanceState::Stopping, InstanceState::Stopped);
    switch(call, xml, instances, (through, to), |cloud, id| cloud.stop_instances(call.region, id).block_on())
}

/// Starts or stops instances, through one state to another.
fn switch(
    call: &Call<'_>,
    xml: &mut Xml,
    instances: Vec<InstanceId>,
    (through, to): (InstanceState, InstanceState),
    switch: impl Fn(&dyn EmbeddedCloud, &InstanceId) -> Result<InstanceState, ApiError>,
) -> Result<(), ApiError> {
    let mut changes = Vec::new();
    for id in instances {
        let request = DescribeInstances { instance_ids: vec![id.clone()], filters: Vec::new() };
        let before =
            call.cloud.describe_instances(call.region, request).block_on()?.into_iter().next().map(|it| it.state);
        let now = switch(call.cloud, &id)?;
        let before = before.unwrap_or(now);
        if before != now {
            call.begin(Transition::Instance(id.clone(), through));
            call.begin(Transition::Instance(id.clone(), to));
        }
        changes.push((id, now, before));
    }
    xml.list("instancesSet", &changes, |xml, (id, now, before)| response::instance::change(xml, id, *now, *before));
    Ok(())
}

fn answer_create_tags(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let request = call.read(decode::create_tags_request)?;
    call.cloud.create_tags(call.region, request).block_on()?;
    response::done(xml);
    Ok(())
}
