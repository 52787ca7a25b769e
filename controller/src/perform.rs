//! Maps each command to the port that performs it. Decides nothing.

use bakehouse_machine::{
    AccountRegion, Build, Command, Fault, Output,
    resources::{ReplacedStage, Resource},
};

use crate::{
    account_copies,
    backend::Backend,
    ports::{Agents, Clock, LeaseRequest, Store},
    resolve::resolve,
};

/// Performs one command of a build.
///
/// # Errors
/// The [`Fault`], which becomes an event of the machine.
pub async fn perform<B: Backend>(backend: &B, build: &Build, command: &Command) -> Result<Output, Fault> {
    let cloud = backend.cloud();
    let until = || backend.clock().now() + build.timing.lease_duration;
    let done = |(): ()| Output::Done;
    let there = |region: &AccountRegion| cloud.in_account(account_copies::role(&build.spec.image, region));
    match command {
        Command::Resolve => resolve(cloud, build).await.map(|plan| Output::Plan(Box::new(plan))),
        Command::Lease { architecture, device, avoid } => {
            let request = LeaseRequest {
                build: &build.id,
                architecture: *architecture,
                device: device.as_ref(),
                avoid,
                until: until(),
            };
            backend.store().lease(&request).await.map(Output::Lease)
        }
        Command::RenewLease(lease) => {
            backend.store().renew(&build.id, lease, until()).await.map(|lease| Output::Lease(Some(lease)))
        }
        Command::Release(lease) => backend.store().release(&build.id, lease).await.map(done),
        Command::CreateVolume(create) => cloud.ensure_volume(create).await.map(Output::VolumeCreated),
        Command::DescribeVolume(region, id) => cloud.describe_volume(region, id).await.map(Output::VolumeDescribed),
        Command::AttachVolume { region, volume, instance, device } => {
            cloud.attach_volume(region, volume, instance, device).await.map(done)
        }
        Command::SendJob(host, job) => backend.agents().send_job(host, job).await.map(done),
        Command::StopJob(host) => backend.agents().stop_job(host, &build.id).await.map(done),
        Command::DetachVolume(region, id) => cloud.detach_volume(region, id).await.map(done),
        Command::DeleteVolume(region, id) => cloud.delete_volume(region, id).await.map(done),
        Command::CreateSnapshot { create, again } => {
            cloud.ensure_snapshot(create, *again).await.map(Output::SnapshotCreated)
        }
        Command::DescribeSnapshot(region, id) => {
            cloud.describe_snapshot(region, id).await.map(Output::SnapshotDescribed)
        }
        Command::DeleteSnapshot(region, id) => cloud.delete_snapshot(region, id).await.map(done),
        Command::RegisterImage(register) => cloud.ensure_image(register).await.map(Output::ImageCreated),
        Command::CopyImage(copy) => there(&copy.region).ensure_copy(copy).await.map(Output::ImageCreated),
        Command::DescribeImage(region, id) => {
            there(region).describe_image(&region.region, id).await.map(Output::ImageDescribed)
        }
        Command::ShareImage(sharing) => cloud.set_sharing(sharing, true).await.map(done),
        Command::UnshareImage(sharing) => cloud.set_sharing(sharing, false).await.map(done),
        Command::WatermarkImage(region, id, names) => cloud.watermark_image(region, id, names).await.map(done),
        Command::DeregisterReplaced(region, id) | Command::RemoveTemporary(region, id) => {
            cloud.deregister(region, id).await.map(done)
        }
        Command::RegisterFinal(register) => cloud.ensure_final_image(register).await.map(Output::ImageCreated),
        Command::RestoreReplaced(image) => {
            let stage = build.resources.replaced_in(&image.region);
            cloud.restore_image(image, stage == Some(ReplacedStage::Deregistered)).await.map(Output::Restored)
        }
        Command::PutParameter { region, name, image } => cloud.put_parameter(region, name, image).await.map(done),
        Command::RestoreParameter(parameter) => {
            let image = build.resources.image_in(&parameter.region).map(|image| &image.id);
            cloud.restore_parameter(parameter, image).await.map(done)
        }
        Command::ProtectImage { region, image, with_cooldown } => {
            there(region).protect_image(&region.region, image, *with_cooldown).await.map(done)
        }
        Command::FindOldImages { region, recipe, builder, keep, newest } => {
            cloud.old_images(region, (recipe, builder), *keep, newest).await.map(Output::OldImages)
        }
        Command::RetireImage(old) => cloud.retire_image(old).await.map(done),
        Command::PublishImage(publish) => there(&publish.region).publish_image(publish).await.map(done),
        Command::RemoveImage(region, id) | Command::RemoveOrphan(Resource::Image(region, id)) => {
            there(region).remove_image(&region.region, id, &build.id).await.map(done)
        }
        Command::FindTagged(region) => there(region).tagged(region, &build.id).await.map(Output::Tagged),
        Command::RemoveOrphan(Resource::Snapshot(region, id)) => {
            there(region).delete_snapshot(&region.region, id).await.map(done)
        }
        Command::RemoveOrphan(Resource::Volume(region, id)) => cloud.delete_volume(&region.region, id).await.map(done),
    }
}
