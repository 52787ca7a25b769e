//! The request by which the image is registered, without what is known only later.

use bakehouse_ec2::{
    request::RegisterImage,
    resource::{BlockDeviceMapping, Image},
};
use bakehouse_machine::{Build, Fault};
use bakehouse_protocol::spec::{Architecture, Virtualization};

use crate::permanent_fault::permanent_fault;

pub(super) fn plan(build: &Build, source: Option<&Image>, size: u32) -> Result<RegisterImage, Fault> {
    let image = &build.spec.image;
    let root_device_name = image
        .root_device_name
        .clone()
        .or_else(|| source.map(|source| source.root_device_name.clone()))
        .ok_or_else(|| permanent_fault("`root_device_name` is needed from scratch"))?;
    let mut mappings = match (&image.block_device_mappings, source) {
        (own, Some(source)) if own.is_empty() => source.block_device_mappings.clone(),
        (own, _) => own.clone(),
    };
    let Some(root) = mappings.iter_mut().find(|mapping| mapping.device_name == root_device_name) else {
        return Err(permanent_fault(format!("no block device mapping has the root's name {root_device_name}"))
            .hint("one `device_name` in `ami_block_device_mappings` must equal `root_device_name`"));
    };
    let root = root.ebs.get_or_insert_default();
    root.volume_size = Some(size);
    root.snapshot_id = None;
    // It is as the snapshot is.
    root.encrypted = None;
    let virtualization =
        image.virtualization.or_else(|| source.map(|source| source.virtualization_type)).unwrap_or(Virtualization::Hvm);
    let architecture = source.map_or(image.architecture, |source| source.architecture);
    let request = RegisterImage {
        name: image.name.clone(),
        architecture: Some(architecture),
        virtualization_type: Some(virtualization),
        root_device_name: Some(root_device_name),
        block_device_mappings: mappings.into_iter().map(sendable).collect(),
        ..RegisterImage::default()
    };
    with_attributes(build, source, request)
}

/// Declares networking and firmware: as the template says, else as the source has it.
fn with_attributes(build: &Build, source: Option<&Image>, request: RegisterImage) -> Result<RegisterImage, Fault> {
    let set = &build.spec.image.attributes;
    let is_hvm = request.virtualization_type == Some(Virtualization::Hvm);
    for (option, value) in [("ena_support", set.ena_support), ("sriov_support", set.sriov_support)] {
        if value == Some(true) && !is_hvm {
            return Err(permanent_fault(format!("`{option}` is true, and the image is paravirtual"))
                .hint("enhanced networking is for hvm: remove it, or set `ami_virtualization_type` to hvm"));
        }
    }
    // Enhanced networking is for hvm only; an instance of a paravirtual image that declares it can't be reached. From
    // scratch there is nothing to inherit: EC2's default is to declare none, and then no current instance type, all of
    // which need ENA, takes the image. The older SR-IOV is that of the x86 types before those.
    let has_ena = set.ena_support.unwrap_or_else(|| source.is_none_or(|source| source.ena_support));
    let has_sriov = set.sriov_support.unwrap_or_else(|| match source {
        Some(source) => source.sriov_net_support.is_some(),
        None => request.architecture == Some(Architecture::X86_64),
    });
    let inherited = |own: &Option<String>, of: fn(&Image) -> &Option<String>| {
        own.clone().or_else(|| source.and_then(|source| of(source).clone()))
    };
    let request = RegisterImage {
        ena_support: (is_hvm && has_ena).then_some(true),
        sriov_net_support: (is_hvm && has_sriov).then(|| "simple".to_owned()),
        boot_mode: inherited(&set.boot_mode, |source| &source.boot_mode),
        tpm_support: inherited(&set.tpm_support, |source| &source.tpm_support),
        imds_support: inherited(&set.imds_support, |source| &source.imds_support),
        uefi_data: set.uefi_data.clone(),
        ..request
    };
    let needs_uefi = [("uefi_data", &request.uefi_data), ("tpm_support", &request.tpm_support)];
    let needs_uefi = needs_uefi.into_iter().find(|(_, value)| value.is_some());
    match needs_uefi {
        Some((option, _)) if request.boot_mode.as_deref() == Some("legacy-bios") => Err(permanent_fault(format!(
            "the boot mode is legacy-bios, and `{option}` is for UEFI"
        ))
        .hint("set `boot_mode` to uefi, or use a source that boots so; what is not set is inherited from the source")),
        _ => Ok(request),
    }
}

/// Returns the mapping as RegisterImage takes it. As Packer: IOPS only for the types that have them, throughput for
/// gp3.
pub(crate) fn sendable(mut mapping: BlockDeviceMapping) -> BlockDeviceMapping {
    if mapping.no_device || mapping.virtual_name.is_some() {
        mapping.ebs = None;
    }
    if let Some(ebs) = &mut mapping.ebs {
        let kind = ebs.volume_type.as_deref().unwrap_or("");
        if !matches!(kind, "io1" | "io2" | "gp3") {
            ebs.iops = None;
        }
        if kind != "gp3" {
            ebs.throughput = None;
        }
        // EC2's own default.
        ebs.delete_on_termination.get_or_insert(true);
        // With a snapshot any value here makes RegisterImage fail.
        if ebs.snapshot_id.is_some() {
            ebs.encrypted = None;
        }
    }
    mapping
}
