use super::*;
use crate::request::{
    AttachImageWatermark, CopyImage, DeregisterImage, EnableImageDeprecation, EnableImageDeregistrationProtection,
};

const DAY: Millis = Millis::minutes(24 * 60);

fn deprecate(fixture: &mut Fixture, id: &ImageId, at: Timestamp) -> Result<(), ApiError> {
    let request = EnableImageDeprecation { image_id: id.clone(), deprecate_at: at };
    fixture.model.enable_image_deprecation(fixture.now, &fixture.region, &request)
}

#[test]
fn an_image_is_deprecated_at_a_whole_minute_in_the_future() {
    let mut fixture = Fixture::new(Delays { register_image: Millis(100), ..Delays::default() });
    let id = fixture.image("image");
    let at = fixture.now + DAY;
    assert_eq!(code(deprecate(&mut fixture, &id, at)), "InvalidAMIID.Unavailable", "pending");
    fixture.pass(Millis(100));
    deprecate(&mut fixture, &id, at + Millis::seconds(31)).unwrap();
    let described = fixture.describe_image(&fixture.region, &id).unwrap().deprecation_time;
    assert_eq!(described, Some(at + Millis::minutes(1)));
    let now = fixture.now;
    assert_eq!(code(deprecate(&mut fixture, &id, now)), "InvalidParameterValue");
    let never = now + Millis(DAY.0 * 366 * 11);
    assert_eq!(code(deprecate(&mut fixture, &id, never)), "InvalidParameterValue");
    fixture.model.disable_image_deprecation(now, &fixture.region, &id).unwrap();
    assert_eq!(fixture.describe_image(&fixture.region, &id).unwrap().deprecation_time, None);
}

#[test]
fn a_protected_image_is_not_deregistered_until_its_cooldown_is_over() {
    let mut fixture = Fixture::quick();
    let here = fixture.region.clone();
    let protect = |fixture: &mut Fixture, id: &ImageId, with_cooldown| {
        let request = EnableImageDeregistrationProtection { image_id: id.clone(), with_cooldown };
        fixture.model.enable_image_deregistration_protection(fixture.now, &fixture.region, &request).unwrap();
    };
    let deregister = |fixture: &mut Fixture, id: &ImageId| {
        let request = DeregisterImage { image_id: id.clone(), delete_associated_snapshots: true };
        fixture.model.deregister_image(fixture.now, &fixture.region, &request)
    };
    let shown = |fixture: &Fixture, id: &ImageId| fixture.describe_image(&fixture.region, id).unwrap().is_protected();
    let (plain, cooled) = (fixture.image("plain"), fixture.image("cooled"));
    for (id, with_cooldown) in [(&plain, false), (&cooled, true)] {
        protect(&mut fixture, id, with_cooldown);
        assert!(shown(&fixture, id));
        assert_eq!(code(deregister(&mut fixture, id)), "OperationNotPermitted");
        fixture.model.disable_image_deregistration_protection(fixture.now, &here, id).unwrap();
        assert_eq!(shown(&fixture, id), with_cooldown);
    }
    deregister(&mut fixture, &plain).unwrap();
    assert_eq!(code(deregister(&mut fixture, &cooled)), "OperationNotPermitted");
    fixture.pass(DAY);
    deregister(&mut fixture, &cooled).unwrap();
}

#[test]
fn copies_carry_the_watermarks_of_their_source() {
    let mut fixture = Fixture::quick();
    let here = fixture.region.clone();
    let id = fixture.image("image");
    let attach = |fixture: &mut Fixture, name: &str| {
        let request = AttachImageWatermark { image_id: id.clone(), watermark_name: name.to_owned() };
        fixture.model.attach_image_watermark(fixture.now, &here, &request)
    };
    attach(&mut fixture, "approved").unwrap();
    assert_eq!(code(attach(&mut fixture, "approved")), "InvalidParameterValue", "it has it already");
    assert_eq!(code(attach(&mut fixture, "a:b:c")), "InvalidParameterValue", "malformed");
    (2..=5).for_each(|n| attach(&mut fixture, &format!("mark-{n}")).unwrap());
    assert_eq!(code(attach(&mut fixture, "mark-6")), "InvalidParameterValue");
    let there = region("eu-west-1");
    let copy = CopyImage::new("image", id.clone(), here.clone());
    let copy = fixture.model.copy_image(fixture.now, &there, &copy).unwrap();
    let marks = fixture.describe_image(&there, &copy).unwrap().watermarks;
    assert_eq!((marks.len(), marks[0].as_str()), (5, "111122223333:approved"));
}

#[test]
fn firmware_settings_must_fit_each_other() {
    let mut fixture = Fixture::quick();
    let snapshot = fixture.snapshot();
    let mut register = |change: fn(&mut RegisterImage)| {
        let mut request = Fixture::registration("image", &snapshot);
        change(&mut request);
        code(fixture.register(&request))
    };
    assert_eq!(register(|it| it.boot_mode = Some("bios".to_owned())), "InvalidParameterValue");
    assert_eq!(register(|it| it.tpm_support = Some("v1.2".to_owned())), "InvalidParameterValue");
    assert_eq!(register(|it| it.imds_support = Some("v1.0".to_owned())), "InvalidParameterValue");
    assert_eq!(register(|it| it.uefi_data = Some("A".repeat(64_001))), "InvalidParameterValue");
    let legacy = register(|it| {
        it.boot_mode = Some("legacy-bios".to_owned());
        it.uefi_data = Some("AAAA".to_owned());
    });
    assert_eq!(legacy, "InvalidParameterCombination");
}
