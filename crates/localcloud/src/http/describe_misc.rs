//! Describe calls of clients that no trait has, because no build needs them. They are answered with the describe calls
//! of [`EmbeddedCloud`](crate::EmbeddedCloud).

use std::collections::BTreeSet;

use bakehouse_ec2::{ApiError, resource::Tags};
use pollster::FutureExt as _;

use crate::{
    http::{
        call::Call,
        decode,
        page::Paging,
        params::Node,
        response::{self, network::TagRow},
        xml::Xml,
    },
    request::{DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes, Filter},
};

/// Keeps the items that match all filters. `known` are the names of the filters; another one is refused even if there
/// are no items.
fn keep<T>(
    items: impl IntoIterator<Item = T>,
    filters: &[Filter],
    known: &[&str],
    value: impl Fn(&T, &str) -> String,
) -> Result<Vec<T>, ApiError> {
    if let Some(filter) = filters.iter().find(|filter| !known.contains(&filter.name.as_str())) {
        return Err(ApiError::new("InvalidParameterValue", format!("The filter '{}' is invalid", filter.name)));
    }
    let passes = |item: &T| filters.iter().all(|filter| filter.values.contains(&value(item, &filter.name)));
    Ok(items.into_iter().filter(passes).collect())
}

pub(crate) fn regions(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (names, filters) = call.read(|node| {
        // No region has to be enabled, so this makes no difference.
        node.flag("AllRegions")?;
        Ok((node.texts("RegionName"), decode::filters(node)?))
    })?;
    let all = call.cloud.describe_regions().block_on()?;
    if let Some(name) = names.iter().find(|name| !all.iter().any(|it| it.as_str() == *name)) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid region names: [{name}]")));
    }
    let named = all.into_iter().filter(|it| names.is_empty() || names.iter().any(|name| name == it.as_str()));
    let kept = keep(named, &filters, &["region-name", "endpoint", "opt-in-status"], |it, name| match name {
        "region-name" => it.to_string(),
        "endpoint" => format!("ec2.{it}.amazonaws.com"),
        _ => "opt-in-not-required".to_owned(),
    })?;
    xml.list("regionInfo", &kept, response::network::region);
    Ok(())
}

pub(crate) fn availability_zones(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (names, ids, filters) = call.read(|node| {
        node.flag("AllAvailabilityZones")?;
        Ok((node.texts("ZoneName"), node.texts("ZoneId"), decode::filters(node)?))
    })?;
    let name = |letter: &char| format!("{}{letter}", call.region);
    let id = |letter: &char| response::network::zone_id(call.region, *letter);
    let is_asked = |letter: &char| {
        (names.is_empty() || names.contains(&name(letter))) && (ids.is_empty() || ids.contains(&id(letter)))
    };
    let known = ["zone-name", "zone-id", "region-name", "group-name", "state", "zone-type", "opt-in-status"];
    let asked = response::network::ZONES.into_iter().filter(is_asked);
    let kept = keep(asked, &filters, &known, |it, filter| match filter {
        "zone-name" => name(it),
        "zone-id" => id(it),
        "region-name" | "group-name" => call.region.to_string(),
        "state" => "available".to_owned(),
        "zone-type" => "availability-zone".to_owned(),
        _ => "opt-in-not-required".to_owned(),
    })?;
    xml.list("availabilityZoneInfo", kept, |xml, letter| response::network::zone(xml, call.region, letter));
    Ok(())
}

pub(crate) fn account_attributes(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let names = call.read(|node| Ok(node.texts("AttributeName")))?;
    let all: [(&str, &[&str]); 2] = [("supported-platforms", &["VPC"]), ("default-vpc", &["none"])];
    let asked = all.into_iter().filter(|(name, _)| names.is_empty() || names.iter().any(|it| it == name));
    xml.list("accountAttributeSet", asked, response::network::account_attribute);
    Ok(())
}

pub(crate) fn image_attribute(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (id, attribute) = call.read(decode::image_attribute)?;
    let request = DescribeImages { image_ids: vec![id.clone()], ..DescribeImages::default() };
    let images = call.cloud.describe_images(call.region, request).block_on()?;
    match images.first() {
        Some(image) if image.owner_id == call.account => response::image::attribute(xml, image, &attribute),
        _ => Err(ApiError::new("AuthFailure", format!("Not authorized for image:{id}"))),
    }
}

pub(crate) fn snapshot_attribute(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (id, attribute) = call.read(decode::snapshot_attribute)?;
    let request = DescribeSnapshots { snapshot_ids: vec![id.clone()], ..DescribeSnapshots::default() };
    let snapshots = call.cloud.describe_snapshots(call.region, request).block_on()?;
    match snapshots.first() {
        Some(snapshot) if snapshot.owner_id == call.account => response::snapshot::attribute(xml, snapshot, &attribute),
        _ => Err(ApiError::new("AuthFailure", format!("Not authorized for snapshot:{id}"))),
    }
}

pub(crate) fn instance_status(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let ((request, paging), all) = call.read(|node| {
        let all = node.flag("IncludeAllInstances")?;
        Ok((decode::describe_instances_request(node)?, all))
    })?;
    let mut instances = call.cloud.describe_instances(call.region, request).block_on()?;
    instances.retain(|it| all || it.state == bakehouse_ec2::resource::InstanceState::Running);
    let (page, token) = paging.cut(instances, |it| it.instance_id.to_string());
    xml.list("instanceStatusSet", &page, response::instance::status);
    response::next(xml, token);
    Ok(())
}

/// The types of the existing instances; others are unknown here.
pub(crate) fn instance_types(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (names, paging) = call.read(|node| {
        let names = node.texts("InstanceType");
        let paging = Paging::read(node, 5..=100, !names.is_empty())?;
        Ok((names, paging))
    })?;
    let mut instances = call.cloud.describe_instances(call.region, DescribeInstances::default()).block_on()?;
    let mut seen = BTreeSet::new();
    instances.retain(|it| seen.insert(it.instance_type.clone()));
    if let Some(name) = names.iter().find(|name| !seen.contains(*name)) {
        let message = format!("The following supplied instance types do not exist: [{name}]");
        return Err(ApiError::new("InvalidInstanceType", message));
    }
    instances.retain(|it| names.is_empty() || names.contains(&it.instance_type));
    let (page, token) = paging.cut(instances, |it| it.instance_type.clone());
    xml.list("instanceTypeSet", &page, response::instance::instance_type);
    response::next(xml, token);
    Ok(())
}

/// Everything of a region that carries tags.
fn all_tags(call: &Call<'_>) -> Result<Vec<TagRow>, ApiError> {
    let mut rows = Vec::new();
    let mut add = |id: String, resource_type: &'static str, tags: Tags| {
        rows.extend(tags.into_iter().map(|(key, value)| TagRow { resource_id: id.clone(), resource_type, key, value }));
    };
    for it in call.cloud.describe_images(call.region, DescribeImages::default()).block_on()? {
        add(it.image_id.to_string(), "image", it.tags);
    }
    for it in call.cloud.describe_instances(call.region, DescribeInstances::default()).block_on()? {
        add(it.instance_id.to_string(), "instance", it.tags);
    }
    for it in call.cloud.describe_snapshots(call.region, DescribeSnapshots::default()).block_on()? {
        add(it.snapshot_id.to_string(), "snapshot", it.tags);
    }
    for it in call.cloud.describe_volumes(call.region, DescribeVolumes::default()).block_on()? {
        add(it.volume_id.to_string(), "volume", it.tags);
    }
    Ok(rows)
}

pub(crate) fn tags(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let read = |node: &Node<'_>| Ok((decode::filters(node)?, Paging::read(node, 5..=1000, false)?));
    let (filters, paging) = call.read(read)?;
    let known = ["key", "value", "resource-id", "resource-type"];
    let rows = keep(all_tags(call)?, &filters, &known, |it, name| match name {
        "key" => it.key.clone(),
        "value" => it.value.clone(),
        "resource-id" => it.resource_id.clone(),
        _ => it.resource_type.to_owned(),
    })?;
    let (page, token) = paging.cut(rows, |it| format!("{} {}", it.resource_id, it.key));
    xml.list("tagSet", &page, response::network::tag);
    response::next(xml, token);
    Ok(())
}
