use super::*;
use crate::{model::Import, request::CopyImage, resource::ImageState};

fn there() -> Region {
    region("eu-west-1")
}

fn copy(fixture: &mut Fixture, request: &CopyImage) -> Result<ImageId, ApiError> {
    fixture.model.copy_image(fixture.now, &there(), request)
}

#[test]
fn a_copy_has_its_own_snapshots_and_tags_and_names_its_source() {
    let mut fixture = Fixture::new(Delays { copy_image: Millis(100), ..Delays::default() });
    let snapshot = fixture.snapshot();
    let registration = RegisterImage {
        tags: tags(&[("a", "1"), ("b", "2")]),
        description: Some("text".to_owned()),
        ..Fixture::registration("image", &snapshot)
    };
    let id = fixture.register(&registration).unwrap();
    let request = CopyImage {
        copy_image_tags: true,
        image_tags: tags(&[("b", "3")]),
        snapshot_tags: tags(&[("c", "4")]),
        ..CopyImage::new("copied", id.clone(), fixture.region.clone())
    };
    let copied = copy(&mut fixture, &request).unwrap();
    let image = fixture.describe_image(&there(), &copied).unwrap();
    assert_eq!((image.state, image.name.as_str(), image.description.as_str()), (ImageState::Pending, "copied", "text"));
    assert_eq!(image.tags, tags(&[("a", "1"), ("b", "3")]));
    assert_eq!((image.source_image_id, image.source_image_region), (Some(id), Some(fixture.region.clone())));
    let own = image.block_device_mappings[0].ebs.as_ref().unwrap().snapshot_id.clone().unwrap();
    assert_ne!(own, snapshot);
    assert_eq!(code(fixture.describe_snapshot(&own)), "InvalidSnapshot.NotFound", "it is in the other region");
    fixture.region = there();
    let made = fixture.describe_snapshot(&own).unwrap();
    assert_eq!((made.volume_id.as_str(), made.tags), ("vol-ffffffff", tags(&[("c", "4")])));
    fixture.pass(Millis(100));
    assert_eq!(fixture.describe_image(&there(), &copied).unwrap().state, ImageState::Available);
}

#[test]
fn a_client_token_creates_one_copy() {
    let mut fixture = Fixture::quick();
    let id = fixture.image("image");
    let request =
        CopyImage { client_token: Some("t".to_owned()), ..CopyImage::new("image", id, fixture.region.clone()) };
    let first = copy(&mut fixture, &request).unwrap();
    assert_eq!(copy(&mut fixture, &request).unwrap(), first);
    let other = CopyImage { name: "other".to_owned(), ..request.clone() };
    assert_eq!(code(copy(&mut fixture, &other)), "IdempotentParameterMismatch");
    let fresh = CopyImage { client_token: Some("u".to_owned()), ..request };
    assert_eq!(code(copy(&mut fixture, &fresh)), "InvalidAMIName.Duplicate");
}

#[test]
fn only_an_available_image_with_readable_snapshots_is_copied() {
    let mut fixture = Fixture::new(Delays { register_image: Millis(100), ..Delays::default() });
    let here = fixture.region.clone();
    let id = fixture.image("image");
    let request = CopyImage::new("image", id, here.clone());
    let error = copy(&mut fixture, &request).unwrap_err();
    assert_eq!(error.to_string(), "InvalidRequest: The storage for the ami is not available in the source region.");
    fixture.pass(Millis(100));
    assert_eq!(
        code(copy(&mut fixture, &CopyImage { name: "x".to_owned(), ..request.clone() })),
        "InvalidAMIName.Malformed"
    );
    copy(&mut fixture, &request).unwrap();

    let missing = ImageId::new("ami-01234567").unwrap();
    assert_eq!(code(copy(&mut fixture, &CopyImage::new("other", missing, here.clone()))), "InvalidAMIID.NotFound");
    let nowhere = CopyImage { source_region: region("mars-1"), ..request };
    assert_eq!(code(copy(&mut fixture, &CopyImage { name: "other".to_owned(), ..nowhere })), "InvalidParameterValue");

    let import = Import { owner: Some("444455556666".to_owned()), ..Import::new("theirs", 8, Architecture::Arm64) };
    let theirs = fixture.model.import_image(fixture.now, &here, &import).unwrap();
    let snapshot = theirs.root_snapshot().unwrap();
    // The image stays public, its snapshot does not.
    let state = fixture.model.regions.get_mut(&here).unwrap();
    state.snapshots.get_mut(snapshot).unwrap().facts.create_volume_permission = Default::default();
    let error = copy(&mut fixture, &CopyImage::new("theirs", theirs.image_id, here)).unwrap_err();
    assert_eq!(error.to_string(), "InvalidRequest: You do not have permission to access the storage of this ami");
}
