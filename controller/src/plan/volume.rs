//! The work volume.

use bakehouse_ec2::resource::{EbsBlockDevice, Image};
use bakehouse_machine::{Build, Fault, plan::VolumePlan};
use bakehouse_protocol::{RunData, spec::Source};

use super::{encryption, root_snapshot::RootSnapshot, texts};
use crate::permanent_fault::permanent_fault;

/// The type of a volume from scratch: cheaper than EC2's own default, gp2, and faster.
const DEFAULT_TYPE: &str = "gp3";

pub(super) fn plan(
    build: &Build,
    source: Option<&Image>,
    snapshot: Option<&RootSnapshot>,
    data: &RunData,
) -> Result<VolumePlan, Fault> {
    let root = source.and_then(|source| source.root_mapping()?.ebs.as_ref());
    let (size, grow) = match (&build.spec.source, snapshot) {
        (Source::Scratch { size }, None) => (*size, false),
        (_, Some(snapshot)) => {
            let source_size = root.and_then(|root| root.volume_size).unwrap_or(snapshot.size).max(snapshot.size);
            // Smaller than the source has no effect, as with Packer; larger grows the root file system too, which
            // Packer leaves to the user.
            let size = build.spec.root_volume_size.unwrap_or(0).max(source_size);
            (size, size > snapshot.size)
        }
        (Source::Image(_), None) => return Err(permanent_fault("a clone needs a source image")),
    };
    let options = &build.spec.volume;
    let (volume_type, iops) = volume_type(build, root)?;
    if options.throughput.is_some() && volume_type.as_deref() != Some("gp3") {
        let volume_type = volume_type.as_deref().unwrap_or("gp2");
        return Err(permanent_fault(format!(
            "`bakehouse_volume_throughput` is for gp3, and the volume is {volume_type}"
        ))
        .hint("set `root_volume_type` to gp3, or remove `bakehouse_volume_throughput`"));
    }
    if options.initialization_rate.is_some() && snapshot.is_none() {
        return Err(permanent_fault("`bakehouse_volume_initialization_rate` has nothing to load from scratch")
            .hint("remove it: it is how fast EBS loads a source's snapshot"));
    }
    let (encrypted, kms_key_id) = encryption::of_volume(build, snapshot)?;
    Ok(VolumePlan {
        size,
        snapshot: snapshot.map(|snapshot| snapshot.id.clone()),
        volume_type,
        iops,
        throughput: options.throughput,
        encrypted,
        kms_key_id,
        initialization_rate: options.initialization_rate,
        tags: texts::volume_tags(build, data)?,
        grow,
    })
}

/// Returns the type and the IOPS. No option sets the IOPS: they are those of the source's root if that has the same
/// type, or if both are types that need them.
fn volume_type(build: &Build, root: Option<&EbsBlockDevice>) -> Result<(Option<String>, Option<u32>), Fault> {
    let source_type = root.and_then(|root| root.volume_type.clone());
    let from_scratch = matches!(build.spec.source, Source::Scratch { .. });
    let asked = build.spec.volume.volume_type.clone();
    let volume_type = asked.or_else(|| source_type.clone()).or_else(|| from_scratch.then(|| DEFAULT_TYPE.to_owned()));
    let needs_iops = |it: &Option<String>| matches!(it.as_deref(), Some("io1" | "io2"));
    let same = volume_type == source_type && (needs_iops(&volume_type) || volume_type.as_deref() == Some("gp3"));
    let both = needs_iops(&volume_type) && needs_iops(&source_type);
    let iops = root.and_then(|root| root.iops).filter(|_| same || both);
    match &volume_type {
        Some(kind) if needs_iops(&volume_type) && iops.is_none() => {
            Err(permanent_fault(format!("`root_volume_type` is {kind}, and the source's root says no IOPS for it")).hint(
                "io1 and io2 need IOPS, which only a source with such a root gives: write gp3, or leave `root_volume_type` out",
            ))
        }
        _ => Ok((volume_type, iops)),
    }
}
