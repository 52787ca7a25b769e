//! Filters of the describe calls.

use crate::{
    ApiError,
    request::Filter,
    resource::{Image, Instance, Snapshot, Tags, Volume},
    timestamp::iso8601,
};

/// A resource that can be filtered.
pub(super) trait Filterable {
    /// The values of a filter name, of which one must match; `None` if there is no such filter.
    fn values(&self, name: &str) -> Option<Vec<String>>;
}

/// Checks filter names before any resource is looked at, so that an unknown one is an error even where there is nothing
/// to filter.
pub(super) fn check(filters: &[Filter], known: &[&str]) -> Result<(), ApiError> {
    for filter in filters {
        if !filter.name.starts_with("tag:") && filter.name != "tag-key" && !known.contains(&filter.name.as_str()) {
            return Err(ApiError::new("InvalidParameterValue", format!("The filter '{}' is invalid", filter.name)));
        }
    }
    Ok(())
}

/// Whether the resource matches all filters.
pub(super) fn matches(resource: &impl Filterable, filters: &[Filter]) -> bool {
    filters.iter().all(|filter| {
        let values = resource.values(&filter.name).unwrap_or_default();
        filter.values.iter().any(|pattern| values.iter().any(|value| matches_pattern(pattern, value)))
    })
}

/// Whether a text matches a pattern: `*` is any text, `?` any character, and `\` escapes the next. Case-sensitive.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> bool {
    enum Part {
        Any,
        One,
        Just(char),
    }
    let mut parts = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        parts.push(match c {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::Just(rest.next().unwrap_or('\\')),
            c => Part::Just(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut part, mut at) = (0, 0);
    // Where to continue when a match fails: after the last `*`, with one more character matched by it.
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                back = Some((part + 1, at));
                part += 1;
            }
            Some(Part::One) => {
                part += 1;
                at += 1;
            }
            Some(Part::Just(c)) if *c == text[at] => {
                part += 1;
                at += 1;
            }
            _ => {
                let Some((after, given)) = back else {
                    return false;
                };
                back = Some((after, given + 1));
                part = after;
                at = given + 1;
            }
        }
    }
    parts[part..].iter().all(|part| matches!(part, Part::Any))
}

fn tag_values(tags: &Tags, name: &str) -> Option<Vec<String>> {
    match name.strip_prefix("tag:") {
        Some(key) => Some(tags.get(key).cloned().into_iter().collect()),
        None if name == "tag-key" => Some(tags.keys().cloned().collect()),
        None => None,
    }
}

/// Implements [`Filterable`] and the list of names from one table.
macro_rules! filterable {
    ($type:ty, $names:ident, |$it:ident| { $($name:literal => $values:expr,)* }) => {
        pub(super) const $names: &[&str] = &[$($name),*];

        impl Filterable for $type {
            fn values(&self, name: &str) -> Option<Vec<String>> {
                let $it = self;
                match name {
                    $($name => Some($values),)*
                    _ => tag_values(&self.tags, name),
                }
            }
        }
    };
}

fn optional<T: ToString>(value: Option<T>) -> Vec<String> {
    value.map(|value| value.to_string()).into_iter().collect()
}

filterable!(Image, IMAGE_FILTERS, |it| {
    "architecture" => vec![it.architecture.as_str().to_owned()],
    "block-device-mapping.device-name" => it.block_device_mappings.iter().map(|m| m.device_name.clone()).collect(),
    "block-device-mapping.snapshot-id" => it.snapshots().map(ToString::to_string).collect(),
    "block-device-mapping.volume-size" =>
        it.block_device_mappings.iter().filter_map(|m| Some(m.ebs.as_ref()?.volume_size?.to_string())).collect(),
    "block-device-mapping.volume-type" =>
        it.block_device_mappings.iter().filter_map(|m| m.ebs.as_ref()?.volume_type.clone()).collect(),
    "block-device-mapping.delete-on-termination" => it.block_device_mappings.iter()
        .filter_map(|m| Some(m.ebs.as_ref()?.delete_on_termination?.to_string())).collect(),
    "block-device-mapping.encrypted" => it.block_device_mappings.iter()
        .filter_map(|m| Some(m.ebs.as_ref()?.encrypted?.to_string())).collect(),
    "creation-date" => vec![it.creation_date.clone()],
    "description" => vec![it.description.clone()],
    "ena-support" => vec![it.ena_support.to_string()],
    "hypervisor" => vec!["xen".to_owned()],
    "image-id" => vec![it.image_id.to_string()],
    "image-type" => vec!["machine".to_owned()],
    "is-public" => vec![it.public().to_string()],
    "name" => vec![it.name.clone()],
    "owner-alias" => optional(it.image_owner_alias.as_ref()),
    "owner-id" => vec![it.owner_id.clone()],
    "product-code" => it.product_codes.iter().cloned().collect(),
    "root-device-name" => vec![it.root_device_name.clone()],
    "root-device-type" => vec![it.root_device_type.clone()],
    "source-image-id" => optional(it.source_image_id.as_ref()),
    "source-image-region" => optional(it.source_image_region.as_ref()),
    "sriov-net-support" => optional(it.sriov_net_support.as_ref()),
    "state" => vec![it.state.as_str().to_owned()],
    "virtualization-type" => vec![it.virtualization_type.as_str().to_owned()],
});

filterable!(Snapshot, SNAPSHOT_FILTERS, |it| {
    "description" => vec![it.description.clone()],
    "encrypted" => vec![it.encrypted.to_string()],
    "owner-id" => vec![it.owner_id.clone()],
    "progress" => vec![it.progress.clone()],
    "snapshot-id" => vec![it.snapshot_id.to_string()],
    "start-time" => vec![iso8601(it.start_time)],
    "status" => vec![it.state.as_str().to_owned()],
    "volume-id" => vec![it.volume_id.to_string()],
    "volume-size" => vec![it.volume_size.to_string()],
});

filterable!(Volume, VOLUME_FILTERS, |it| {
    "attachment.device" => it.attachments.iter().map(|a| a.device.to_string()).collect(),
    "attachment.instance-id" => it.attachments.iter().map(|a| a.instance_id.to_string()).collect(),
    "attachment.status" => it.attachments.iter().map(|a| a.state.as_str().to_owned()).collect(),
    "availability-zone" => vec![it.availability_zone.to_string()],
    "create-time" => vec![iso8601(it.create_time)],
    "encrypted" => vec![it.encrypted.to_string()],
    "size" => vec![it.size.to_string()],
    "snapshot-id" => optional(it.snapshot_id.as_ref()),
    "status" => vec![it.state.as_str().to_owned()],
    "volume-id" => vec![it.volume_id.to_string()],
    "volume-type" => vec![it.volume_type.clone()],
});

filterable!(Instance, INSTANCE_FILTERS, |it| {
    "architecture" => vec![it.architecture.as_str().to_owned()],
    "availability-zone" => vec![it.availability_zone.to_string()],
    "image-id" => optional(it.image_id.as_ref()),
    "instance-id" => vec![it.instance_id.to_string()],
    "instance-state-name" => vec![it.state.as_str().to_owned()],
    "instance-type" => vec![it.instance_type.clone()],
});
