//! Makes the plan of a build from its spec and source image. Pure.

use std::collections::BTreeMap;

use bakehouse_ec2::{
    request::RegisterImage,
    resource::{BlockDeviceMapping, Image},
};
use bakehouse_gotemplate::{Value, deferred};
use bakehouse_machine::{Build, Fault, Plan, plan::VolumePlan};
use bakehouse_protocol::{
    DeferredTemplate, RunData, SnapshotId,
    spec::{Architecture, Source, Virtualization},
};

use crate::permanent_fault::permanent_fault;

/// The snapshot of a source's root device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its size in GiB; the image's mapping may ask for a larger volume.
    pub size: u32,
}

/// Returns the plan. `source` is the source image with the snapshot of its root device; `None`: from scratch.
///
/// # Errors
/// Permanent if a deferred template can't be rendered or the options contradict each other.
pub fn make_plan(build: &Build, source: Option<(&Image, RootSnapshot)>) -> Result<Plan, Fault> {
    let (source, root) = source.unzip();
    let data = run_data(build, source);
    let render = |text: &DeferredTemplate, what: &str| {
        deferred::render(&text.0, &fields(&data), build.accepted_at.0)
            .map_err(|error| permanent_fault(format!("{what} can't be rendered: {error}")))
    };
    let mut tags = BTreeMap::new();
    for (key, value) in &build.spec.image.tags {
        tags.insert(render(key, "a key of `tags`")?, render(value, "a value of `tags`")?);
    }
    let mut copies: Vec<_> = build.spec.image.regions.clone();
    copies.retain(|region| region != &build.region);
    let volume = volume_plan(build, source.zip(root))?;
    Ok(Plan {
        description: render(&build.spec.image.description, "`ami_description`")?,
        register: register_plan(build, source, volume.size)?,
        volume,
        data,
        tags,
        copies,
    })
}

fn run_data(build: &Build, source: Option<&Image>) -> RunData {
    let mut data =
        RunData { build_name: build.spec.name.clone(), build_region: Some(build.region.clone()), ..RunData::default() };
    if let Some(source) = source {
        data.source_ami = Some(source.image_id.clone());
        data.source_ami_name = source.name.clone();
        data.source_ami_creation_date = source.creation_date.clone();
        data.source_ami_owner = source.owner_id.clone();
        data.source_ami_owner_name = source.image_owner_alias.clone().unwrap_or_default();
        data.source_ami_tags = source.tags.clone();
    }
    data
}

/// The fields of deferred templates in `ami_description` and `tags`.
fn fields(data: &RunData) -> BTreeMap<String, Value> {
    let text = |text: &str| Value::String(text.to_owned());
    let tags = data.source_ami_tags.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    BTreeMap::from([
        ("BuildRegion".to_owned(), text(data.build_region.as_ref().map_or("", |region| region.as_str()))),
        ("SourceAMI".to_owned(), text(data.source_ami.as_ref().map_or("", |id| id.as_str()))),
        ("SourceAMIName".to_owned(), text(&data.source_ami_name)),
        ("SourceAMICreationDate".to_owned(), text(&data.source_ami_creation_date)),
        ("SourceAMIOwner".to_owned(), text(&data.source_ami_owner)),
        ("SourceAMIOwnerName".to_owned(), text(&data.source_ami_owner_name)),
        ("SourceAMITags".to_owned(), Value::Map(tags)),
    ])
}

fn volume_plan(build: &Build, source: Option<(&Image, RootSnapshot)>) -> Result<VolumePlan, Fault> {
    let Some((source, snapshot)) = source else {
        let Source::Scratch { size } = build.spec.source else {
            return Err(permanent_fault("a clone needs a source image"));
        };
        return Ok(VolumePlan { size, snapshot: None, volume_type: None, iops: None, grow: false });
    };
    let root = source.root_mapping().and_then(|mapping| mapping.ebs.as_ref());
    let source_size = root.and_then(|root| root.volume_size).unwrap_or(snapshot.size).max(snapshot.size);
    // Smaller than the source has no effect, as with Packer; larger grows the root file system too, which Packer leaves
    // to the user.
    let size = build.spec.root_volume_size.unwrap_or(0).max(source_size);
    Ok(VolumePlan {
        size,
        snapshot: Some(snapshot.id),
        volume_type: root.and_then(|root| root.volume_type.clone()),
        iops: root.and_then(|root| root.iops),
        grow: size > snapshot.size,
    })
}

fn register_plan(build: &Build, source: Option<&Image>, size: u32) -> Result<RegisterImage, Fault> {
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
    let virtualization =
        image.virtualization.or_else(|| source.map(|source| source.virtualization_type)).unwrap_or(Virtualization::Hvm);
    let architecture = source.map_or(image.architecture, |source| source.architecture);
    // Enhanced networking is for hvm only; an instance of a paravirtual image that declares it can't be reached. From
    // scratch there is nothing to inherit: EC2's default is to declare none, and then no current instance type, all of
    // which need ENA, takes the image. The older SR-IOV is that of the x86 types before those.
    let is_hvm = virtualization == Virtualization::Hvm;
    let sriov_net_support = match source {
        Some(source) => source.sriov_net_support.clone(),
        None => (architecture == Architecture::X86_64).then(|| "simple".to_owned()),
    };
    Ok(RegisterImage {
        name: image.name.clone(),
        architecture: Some(architecture),
        virtualization_type: Some(virtualization),
        root_device_name: Some(root_device_name),
        block_device_mappings: mappings.into_iter().map(sendable).collect(),
        ena_support: (is_hvm && source.is_none_or(|source| source.ena_support)).then_some(true),
        sriov_net_support: sriov_net_support.filter(|_| is_hvm),
        boot_mode: source.and_then(|source| source.boot_mode.clone()),
        tpm_support: source.and_then(|source| source.tpm_support.clone()),
        imds_support: source.and_then(|source| source.imds_support.clone()),
        ..RegisterImage::default()
    })
}

/// Returns the mapping as RegisterImage takes it. As Packer: IOPS only for the types that have them, throughput for
/// gp3.
fn sendable(mut mapping: BlockDeviceMapping) -> BlockDeviceMapping {
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
        ebs.encrypted = None;
    }
    mapping
}
