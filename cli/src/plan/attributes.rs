//! What the new image inherits of its source, what it changes, and what it loses.

use bakehouse_ec2::{request::RegisterImage, resource::Image};
use serde::Serialize;

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// The new image has the source's value.
    Inherited,
    /// The new image has another value, or the source has none.
    Changed,
    /// The source has a value, the new image none.
    Lost,
}

/// One attribute of the new image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) change: Change,
    /// The source's value.
    pub(crate) source: Option<String>,
    /// The new image's value.
    pub(crate) image: Option<String>,
}

/// Compares a new image with its source. An attribute that neither has is left out.
pub(crate) fn attributes(source: &Image, plan: &RegisterImage, description: &str) -> Vec<Attribute> {
    let flag = |set: bool| set.then(|| "true".to_owned());
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut found = vec![
        compare(
            "Architecture",
            Some(source.architecture.as_str().into()),
            plan.architecture.map(|it| it.as_str().into()),
        ),
        compare(
            "VirtualizationType",
            Some(source.virtualization_type.as_str().into()),
            plan.virtualization_type.map(|it| it.as_str().into()),
        ),
        compare("RootDeviceName", text(&source.root_device_name), plan.root_device_name.clone()),
        compare("EnaSupport", flag(source.ena_support), flag(plan.ena_support == Some(true))),
        compare("SriovNetSupport", source.sriov_net_support.clone(), plan.sriov_net_support.clone()),
        compare("BootMode", source.boot_mode.clone(), plan.boot_mode.clone()),
        compare("TpmSupport", source.tpm_support.clone(), plan.tpm_support.clone()),
        compare("ImdsSupport", source.imds_support.clone(), plan.imds_support.clone()),
        compare("Description", text(&source.description), text(description)),
        compare("DeprecationTime", source.deprecation_time.map(crate::text::rfc3339), None),
    ];
    let names = source.block_device_mappings.iter().chain(&plan.block_device_mappings).map(|it| &it.device_name);
    let mut names: Vec<&String> = names.collect();
    names.sort();
    names.dedup();
    for name in names {
        let of = |mappings: &[bakehouse_ec2::resource::BlockDeviceMapping]| {
            mappings.iter().find(|mapping| &mapping.device_name == name).map(mapping_text)
        };
        let name = format!("BlockDeviceMapping {name}");
        found.push(compare(&name, of(&source.block_device_mappings), of(&plan.block_device_mappings)));
    }
    let tags = source.tags.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    found.push(compare("Tags", text(&tags), None));
    // EC2 records a source only for CopyImage, CreateImage and CreateRestoreImageTask (EC2 guide, "AMI ancestry").
    found.push(compare("SourceImageId", Some(source.image_id.to_string()), None));
    found.into_iter().flatten().collect()
}

fn compare(name: &str, source: Option<String>, image: Option<String>) -> Option<Attribute> {
    let change = match (&source, &image) {
        (None, None) => return None,
        (Some(source), Some(image)) if source == image => Change::Inherited,
        (Some(_), None) => Change::Lost,
        _ => Change::Changed,
    };
    Some(Attribute { name: name.to_owned(), change, source, image })
}

/// Returns a mapping in one line; the snapshot is left out, as it is always another one.
fn mapping_text(mapping: &bakehouse_ec2::resource::BlockDeviceMapping) -> String {
    if mapping.no_device {
        return "no device".to_owned();
    }
    if let Some(name) = &mapping.virtual_name {
        return name.clone();
    }
    let Some(ebs) = &mapping.ebs else { return "nothing".to_owned() };
    let size = ebs.volume_size.map(|size| format!("{size} GiB"));
    let iops = ebs.iops.map(|iops| format!("{iops} IOPS"));
    let throughput = ebs.throughput.map(|rate| format!("{rate} MiB/s"));
    let kept = (ebs.delete_on_termination == Some(false)).then(|| "kept on termination".to_owned());
    let parts: Vec<String> = [size, ebs.volume_type.clone(), iops, throughput, kept].into_iter().flatten().collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_inherited_changed_or_lost() {
        let change = |source: Option<&str>, image: Option<&str>| {
            compare("BootMode", source.map(str::to_owned), image.map(str::to_owned)).map(|attribute| attribute.change)
        };
        assert_eq!(change(Some("uefi"), Some("uefi")), Some(Change::Inherited));
        assert_eq!(change(Some("uefi"), Some("legacy-bios")), Some(Change::Changed));
        assert_eq!(change(None, Some("uefi")), Some(Change::Changed));
        assert_eq!(change(Some("uefi"), None), Some(Change::Lost));
        assert_eq!(change(None, None), None);
    }
}
