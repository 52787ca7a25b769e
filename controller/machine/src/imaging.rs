//! From the finished volume to an image in every region: Snapshotting, Registering, Copying.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};
use bakehouse_ec2::request::{CopyImage, CreateSnapshot, RegisterImage};
use bakehouse_protocol::ImageId;

use crate::{
    AccountRegion, Build, Command, ImageRecord, ImageStage, Phase, Plan, SnapshotStage, command::ImageSharing,
    in_region::InRegion, release::release, tags, token::token,
};

pub(crate) fn snapshotting(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let Some(volume) = build.resources.volume.clone() else { return vec![] };
    let Some(snapshot) = &build.resources.snapshot else {
        let description = format!("{} ({})", plan.register.name, build.id);
        let tags = tags::tracked(build, &plan.in_region(&(&build.region).into()).snapshot_tags);
        let request = CreateSnapshot { volume_id: volume.id, description, tags };
        let create = InRegion { region: (&build.region).into(), request };
        return vec![Command::CreateSnapshot { create, again: false }];
    };
    if snapshot.stage == SnapshotStage::Completed {
        build.phase = Phase::Registering;
        return vec![];
    }
    let mut wanted = vec![Command::DescribeSnapshot(build.region.clone(), snapshot.id.clone())];
    wanted.extend(release(build, false));
    wanted
}

pub(crate) fn registering(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = Vec::from_iter(release(build, true));
    let Some(snapshot) = &build.resources.snapshot else { return wanted };
    match build.resources.image_in(&build.region) {
        None => {
            let region = AccountRegion::from(&build.region);
            let name = plan.first_name(&build.id, &build.region, &region);
            let request = named(build, plan, &region, name).with_root_snapshot(&snapshot.id);
            wanted.push(Command::RegisterImage(Box::new(InRegion { region, request })));
        }
        Some(image) if image.stage == ImageStage::Pending => {
            wanted.push(Command::DescribeImage((&build.region).into(), image.id.clone()));
        }
        Some(_) => build.phase = Phase::Copying,
    }
    wanted
}

/// The regions are independent: a slow one delays only the next phase.
pub(crate) fn copying(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = Vec::from_iter(release(build, true));
    let Some(image) = build.resources.image_in(&build.region).cloned() else { return wanted };
    // Copies carry only the watermarks that the image had when it was copied.
    if let Some(command) = watermark(build, &image) {
        wanted.push(command);
        return wanted;
    }
    let mut waiting = false;
    let share = share(build, plan, &image);
    for region in &plan.copies {
        if share.is_some() && region.role.is_some() {
            waiting = true;
            continue;
        }
        match build.resources.image_in(region) {
            None => wanted.push(copy(build, plan, region, image.id.clone())),
            Some(copy) if copy.stage == ImageStage::Pending => {
                wanted.push(Command::DescribeImage(region.clone(), copy.id.clone()));
            }
            Some(_) => continue,
        }
        waiting = true;
    }
    wanted.extend(share);
    if !waiting {
        build.phase = Phase::Finishing;
    }
    wanted
}

/// Returns the command that lets the other accounts copy the image. Nobody else sees it yet.
fn share(build: &Build, plan: &Plan, image: &ImageRecord) -> Option<Command> {
    let sharing = sharing(build, plan, image)?;
    build.resources.sharing.is_none().then(|| Command::ShareImage(Box::new(sharing)))
}

/// Returns the accounts that copy the image, and what is shared with them for that; `None`: there are none.
pub(crate) fn sharing(build: &Build, plan: &Plan, image: &ImageRecord) -> Option<ImageSharing> {
    let accounts: Vec<String> = plan.copying_accounts().into_iter().map(String::from).collect();
    (!accounts.is_empty()).then(|| ImageSharing {
        region: build.region.clone(),
        image: image.id.clone(),
        snapshots: image.snapshots.clone(),
        accounts,
    })
}

fn copy(build: &Build, plan: &Plan, region: &AccountRegion, image: ImageId) -> Command {
    let there = plan.in_region(region);
    let name = plan.first_name(&build.id, &build.region, region);
    let destination = match region.account() {
        None => region.region.to_string(),
        Some(account) => format!("{}-{account}", region.region),
    };
    let request = CopyImage {
        client_token: Some(token(build, &destination)),
        description: description(&there.description),
        image_tags: tags::tracked(build, &there.tags),
        snapshot_tags: tags::tracked(build, &there.snapshot_tags),
        encrypted: there.encrypted,
        kms_key_id: there.kms_key_id,
        snapshot_copy_completion_duration_minutes: build.spec.image.copying.snapshot_copy_duration_minutes,
        ..CopyImage::new(name, image, build.region.clone())
    };
    Command::CopyImage(Box::new(InRegion { region: region.clone(), request }))
}

/// Returns the request that registers the image in a region under a name, as planned.
pub(crate) fn named(build: &Build, plan: &Plan, region: &AccountRegion, name: String) -> RegisterImage {
    let there = plan.in_region(region);
    let (description, tags) = (description(&there.description), tags::tracked(build, &there.tags));
    RegisterImage { name, description, tags, ..plan.register.clone() }
}

/// Returns the command that attaches the template's watermarks to an image that was registered and has none yet.
pub(crate) fn watermark(build: &Build, image: &ImageRecord) -> Option<Command> {
    let names = &build.spec.image.attributes.watermarks;
    // Copies of other accounts have those that the image had when it was copied.
    let region = image.region.own()?;
    (!names.is_empty() && image.stage == ImageStage::Available)
        .then(|| Command::WatermarkImage(region.clone(), image.id.clone(), names.clone()))
}

/// Returns the description for EC2, which takes no empty one.
fn description(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}
