//! Finishing: every region has its image. Each is brought under its own name, published and protected, one after the
//! other: no image is published before all can be, and protection, which can't be taken back at once, comes last.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{
    Build, Command, CommandKey, ImageRecord, ImageStage, Phase, Plan, SnapshotStage,
    command::{FinalImage, PublishImage},
    imaging::{named, sharing, watermark},
    release::release,
    resources::{OldImage, ParameterStage, ReplacedStage},
    tags::{EXPIRES_TAG, NEVER},
};

pub(crate) fn finishing(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = Vec::from_iter(release(build, true));
    let steps: [fn(&mut Build, &Plan) -> Vec<Command>; 6] =
        [unshare, replace, remove_intermediate, publish, put_parameters, protect];
    for step in steps {
        let commands = step(build, plan);
        if !commands.is_empty() {
            wanted.extend(commands);
            return wanted;
        }
    }
    if wanted.is_empty() {
        // The results of describe commands no longer matter, nor does the renewal of a lease that is released.
        build
            .in_flight
            .retain(|entry| !entry.command.key().is_describe() && entry.command.key() != CommandKey::RenewLease);
    }
    if wanted.is_empty() && build.in_flight.is_empty() {
        build.phase = retire_or_succeed(build, plan);
    }
    wanted
}

/// Takes back what was shared for the copies of other accounts. Those with whom the template shares it are added again
/// when it is published.
fn unshare(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let is_shared = build.resources.sharing.as_ref().is_some_and(|sharing| !sharing.ended);
    let image = build.resources.image_in(&build.region).filter(|_| is_shared);
    let sharing = image.and_then(|image| sharing(build, plan, image));
    sharing.map(|sharing| Command::UnshareImage(Box::new(sharing))).into_iter().collect()
}

/// Brings each image that stands under a temporary name under its own: the image that has the name is deregistered, the
/// new one is registered from the same snapshots, and the temporary one is deregistered. EC2 can't rename an image.
fn replace(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = vec![];
    for replaced in &plan.replaced {
        let region = &replaced.region;
        let Some(image) = build.resources.image_in(region).cloned() else { continue };
        let temporary = build.resources.temporary_in(region).cloned();
        match (build.resources.replaced_in(region), temporary) {
            (None | Some(ReplacedStage::Deregistering), _) => {
                build.resources.raise_replaced(region, ReplacedStage::Deregistering);
                wanted.push(Command::DeregisterReplaced(region.clone(), replaced.id.clone()));
            }
            (Some(_), None) if image.name_is_temporary => {
                let request = named(build, plan, &region.into(), plan.register.name.clone());
                let (temporary, replaced) = (image.id, replaced.id.clone());
                let register = FinalImage { region: region.clone(), temporary, replaced, request };
                wanted.push(Command::RegisterFinal(Box::new(register)));
            }
            (Some(_), _) if image.stage == ImageStage::Pending => {
                wanted.push(Command::DescribeImage(region.into(), image.id));
            }
            (Some(_), temporary) => {
                wanted.extend(watermark(build, &image));
                wanted.extend(temporary.map(|id| Command::RemoveTemporary(region.clone(), id)));
            }
        }
    }
    wanted
}

/// Removes the image that was only copied, with its snapshot.
fn remove_intermediate(build: &mut Build, plan: &Plan) -> Vec<Command> {
    if !plan.intermediate {
        return vec![];
    }
    let image = build.resources.image_in(&build.region).filter(|image| image.stage != ImageStage::Removed);
    if let Some(image) = image {
        return vec![Command::RemoveImage(image.region.clone(), image.id.clone())];
    }
    let snapshot = build.resources.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted);
    snapshot.map(|snapshot| Command::DeleteSnapshot(build.region.clone(), snapshot.id.clone())).into_iter().collect()
}

/// Returns the images that stay and have not reached this stage.
fn below(build: &Build, stage: ImageStage) -> impl Iterator<Item = &ImageRecord> {
    build.resources.images.iter().filter(move |image| image.stage < stage)
}

fn publish(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let (image, sharing) = (&build.spec.image, &build.spec.image.sharing);
    let command = |record: &ImageRecord| {
        // With whom another account shares its copy is its own concern.
        let own = |list: &Vec<String>| if record.region.role.is_none() { list.clone() } else { vec![] };
        Command::PublishImage(Box::new(PublishImage {
            region: record.region.clone(),
            image: record.id.clone(),
            snapshots: record.snapshots.clone(),
            users: own(&image.users),
            groups: own(&image.groups),
            org_arns: own(&sharing.org_arns),
            ou_arns: own(&sharing.ou_arns),
            snapshot_users: own(&sharing.snapshot_users),
            snapshot_groups: own(&sharing.snapshot_groups),
            product_codes: own(&image.product_codes),
            deprecate_at: plan.deprecate_at,
            tags: BTreeMap::from([(EXPIRES_TAG.to_string(), NEVER.to_string())]),
        }))
    };
    below(build, ImageStage::Published).map(command).collect()
}

fn put_parameters(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = vec![];
    for parameter in &plan.parameters {
        let (region, name) = (&parameter.region, &parameter.name);
        if build.resources.parameter(region, name) == Some(ParameterStage::Written) {
            continue;
        }
        let Some(image) = build.resources.image_in(region).map(|image| image.id.clone()) else { continue };
        build.resources.set_parameter(region, name, ParameterStage::Writing);
        wanted.push(Command::PutParameter { region: region.clone(), name: name.clone(), image });
    }
    wanted
}

fn protect(build: &mut Build, _: &Plan) -> Vec<Command> {
    let Some(protection) = build.spec.image.lifecycle.deregistration_protection else { return vec![] };
    let command = |image: &ImageRecord| Command::ProtectImage {
        region: image.region.clone(),
        image: image.id.clone(),
        with_cooldown: protection.with_cooldown,
    };
    below(build, ImageStage::Protected).map(command).collect()
}

/// Returns the phase that follows: Retiring if there may be older images to remove.
fn retire_or_succeed(build: &mut Build, plan: &Plan) -> Phase {
    let replacement = &build.spec.image.replacement;
    if replacement.force_delete_snapshot {
        let old = plan.replaced.iter().map(|image| OldImage {
            region: image.region.clone(),
            id: image.id.clone(),
            snapshots: image.snapshots.clone(),
        });
        build.resources.old_images = old.collect();
    }
    if build.resources.old_images.is_empty() && replacement.keep.is_none() {
        return Phase::Succeeded;
    }
    Phase::Retiring
}
