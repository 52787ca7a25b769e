use super::*;
use crate::{model::Import, request::CopyImage, resource::ImageState};

fn there() -> Region {
    region("eu-west-1")
}

fn copy(world: &mut World, request: &CopyImage) -> Result<ImageId, ApiError> {
    world.model.copy_image(world.now, &there(), request)
}

#[test]
fn a_copy_has_its_own_snapshots_and_tags_and_knows_its_source() {
    let mut world = World::new(Delays { copy_image: Millis(100), ..Delays::default() });
    let snapshot = world.snapshot();
    let registration = RegisterImage {
        tags: tags(&[("a", "1"), ("b", "2")]),
        description: Some("text".to_owned()),
        ..World::registration("image", &snapshot)
    };
    let id = world.register(&registration).unwrap();
    let request = CopyImage {
        copy_image_tags: true,
        image_tags: tags(&[("b", "3")]),
        snapshot_tags: tags(&[("c", "4")]),
        ..CopyImage::new("copied", id.clone(), world.region.clone())
    };
    let copied = copy(&mut world, &request).unwrap();
    let image = world.describe_image(&there(), &copied).unwrap();
    assert_eq!((image.state, image.name.as_str(), image.description.as_str()), (ImageState::Pending, "copied", "text"));
    assert_eq!(image.tags, tags(&[("a", "1"), ("b", "3")]));
    assert_eq!((image.source_image_id, image.source_image_region), (Some(id), Some(world.region.clone())));
    let own = image.block_device_mappings[0].ebs.as_ref().unwrap().snapshot_id.clone().unwrap();
    assert_ne!(own, snapshot);
    assert_eq!(code(world.describe_snapshot(&own)), "InvalidSnapshot.NotFound", "it is in the other region");
    world.region = there();
    let made = world.describe_snapshot(&own).unwrap();
    assert_eq!((made.volume_id.as_str(), made.tags), ("vol-ffffffff", tags(&[("c", "4")])));
    world.pass(Millis(100));
    assert_eq!(world.describe_image(&there(), &copied).unwrap().state, ImageState::Available);
}

#[test]
fn a_client_token_makes_one_copy() {
    let mut world = World::quick();
    let id = world.image("image");
    let request = CopyImage { client_token: Some("t".to_owned()), ..CopyImage::new("image", id, world.region.clone()) };
    let first = copy(&mut world, &request).unwrap();
    assert_eq!(copy(&mut world, &request).unwrap(), first);
    let other = CopyImage { name: "other".to_owned(), ..request.clone() };
    assert_eq!(code(copy(&mut world, &other)), "IdempotentParameterMismatch");
    let fresh = CopyImage { client_token: Some("u".to_owned()), ..request };
    assert_eq!(code(copy(&mut world, &fresh)), "InvalidAMIName.Duplicate");
}

#[test]
fn only_an_available_image_with_storage_of_ours_is_copied() {
    let mut world = World::new(Delays { register_image: Millis(100), ..Delays::default() });
    let here = world.region.clone();
    let id = world.image("image");
    let request = CopyImage::new("image", id, here.clone());
    let error = copy(&mut world, &request).unwrap_err();
    assert_eq!(error.to_string(), "InvalidRequest: The storage for the ami is not available in the source region.");
    world.pass(Millis(100));
    assert_eq!(
        code(copy(&mut world, &CopyImage { name: "x".to_owned(), ..request.clone() })),
        "InvalidAMIName.Malformed"
    );
    copy(&mut world, &request).unwrap();

    let missing = ImageId::new("ami-01234567").unwrap();
    assert_eq!(code(copy(&mut world, &CopyImage::new("other", missing, here.clone()))), "InvalidAMIID.NotFound");
    let nowhere = CopyImage { source_region: region("mars-1"), ..request };
    assert_eq!(code(copy(&mut world, &CopyImage { name: "other".to_owned(), ..nowhere })), "InvalidParameterValue");

    let import = Import { owner: Some("444455556666".to_owned()), ..Import::new("theirs", 8, Architecture::Arm64) };
    let theirs = world.model.import_image(world.now, &here, &import).unwrap();
    let snapshot = theirs.root_snapshot().unwrap();
    // The image stays public, its snapshot does not.
    let state = world.model.regions.get_mut(&here).unwrap();
    state.snapshots.get_mut(snapshot).unwrap().facts.create_volume_permission = Default::default();
    let error = copy(&mut world, &CopyImage::new("theirs", theirs.image_id, here)).unwrap_err();
    assert_eq!(error.to_string(), "InvalidRequest: You do not have permission to access the storage of this ami");
}
