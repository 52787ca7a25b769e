use super::*;
use crate::{
    request::DescribeInstances,
    resource::{AttachmentState, InstanceState, VolumeState},
};

fn delays() -> Delays {
    Delays { attach: Millis(100), detach: Millis(200), device_release: Millis(300), ..Delays::default() }
}

fn state(fixture: &Fixture, id: &VolumeId) -> (VolumeState, Option<AttachmentState>) {
    let volume = fixture.describe_volume(id).unwrap();
    (volume.state, volume.attachments.first().map(|it| it.state))
}

#[test]
fn attaching_and_detaching_take_their_time() {
    let mut fixture = Fixture::new(delays());
    let (id, other) = (fixture.volume(), fixture.volume());
    assert_eq!(fixture.attach(&id, "/dev/sdf").unwrap().state, AttachmentState::Attaching);
    assert_eq!(state(&fixture, &id), (VolumeState::InUse, Some(AttachmentState::Attaching)));
    fixture.pass(Millis(100));
    assert_eq!(state(&fixture, &id), (VolumeState::InUse, Some(AttachmentState::Attached)));
    assert_eq!(fixture.detach(&id).unwrap().state, AttachmentState::Detaching);
    assert_eq!(state(&fixture, &id), (VolumeState::InUse, Some(AttachmentState::Detaching)));
    assert_eq!(code(fixture.detach(&id)), "IncorrectState");
    fixture.pass(Millis(200));
    assert_eq!(state(&fixture, &id), (VolumeState::Available, None));
    assert_eq!(code(fixture.attach(&other, "/dev/sdf")), "InvalidParameterValue");
    fixture.pass(Millis(300));
    fixture.attach(&other, "/dev/sdf").unwrap();
}

#[test]
fn a_device_name_is_taken_once() {
    let mut fixture = Fixture::quick();
    let (a, b) = (fixture.volume(), fixture.volume());
    fixture.attach(&a, "/dev/sdf").unwrap();
    let error = fixture.attach(&b, "/dev/sdf").unwrap_err();
    assert_eq!(
        error.to_string(),
        "InvalidParameterValue: Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use"
    );
    assert_eq!(code(fixture.attach(&b, "/dev/xvdf")), "InvalidParameterValue", "the same slot");
    assert_eq!(code(fixture.attach(&b, "/dev/sda")), "InvalidParameterValue", "the root's");
    assert_eq!(code(fixture.attach(&b, "/dev/sdf1")), "InvalidParameterValue", "not a device name");
    assert_eq!(code(fixture.attach(&b, "/dev/xvdez")), "InvalidParameterValue", "not a device name");
    fixture.attach(&b, "/dev/xvdba").unwrap();
    let instance = fixture.instance.clone();
    let all = fixture.model.describe_instances(
        fixture.now,
        &fixture.region,
        &DescribeInstances { instance_ids: vec![instance], filters: Vec::new() },
    );
    let taken: Vec<_> = all.unwrap()[0].block_device_mappings.iter().map(|it| it.device_name.to_string()).collect();
    assert_eq!(taken.len(), 2);
    assert!(taken.contains(&"/dev/sdf".to_owned()) && taken.contains(&"/dev/xvdba".to_owned()));
}

#[test]
fn reserved_device_names_and_the_attachment_limit_are_respected() {
    let mut fixture = Fixture::quick();
    let (region, instance) = (fixture.region.clone(), fixture.instance.clone());
    let sdb = DeviceName::new("/dev/sdb").unwrap();
    fixture.model.set_instance_slots(&region, &instance, 1, [sdb]).unwrap();
    let (a, b) = (fixture.volume(), fixture.volume());
    assert_eq!(code(fixture.attach(&a, "/dev/sdb")), "InvalidParameterValue");
    fixture.attach(&a, "/dev/sdc").unwrap();
    assert_eq!(code(fixture.attach(&b, "/dev/sdd")), "AttachmentLimitExceeded");
}

#[test]
fn attaching_needs_an_available_volume_in_the_instance_s_zone() {
    let mut fixture = Fixture::new(Delays { create_volume: Millis(100), ..Delays::default() });
    let id = fixture.volume();
    assert_eq!(code(fixture.attach(&id, "/dev/sdf")), "IncorrectState");
    let elsewhere = CreateVolume { availability_zone: Zone::new("us-east-1b").unwrap(), ..fixture.empty() };
    let elsewhere = fixture.create(&elsewhere).unwrap().volume_id;
    fixture.pass(Millis(100));
    assert_eq!(code(fixture.attach(&elsewhere, "/dev/sdf")), "InvalidVolume.ZoneMismatch");
    let (region, instance) = (fixture.region.clone(), fixture.instance.clone());
    for (instance_state, refused) in
        [(InstanceState::Stopping, true), (InstanceState::Terminated, true), (InstanceState::Stopped, false)]
    {
        fixture.model.set_instance_state(&region, &instance, instance_state).unwrap();
        let result = fixture.attach(&id, "/dev/sdf");
        assert_eq!(result.is_err(), refused, "{instance_state}");
        if refused {
            assert_eq!(code(result), "IncorrectState");
        }
    }
    assert_eq!(code(fixture.attach(&id, "/dev/sdg")), "VolumeInUse");
    fixture.instance = InstanceId::new("i-01234567").unwrap();
    assert_eq!(code(fixture.attach(&id, "/dev/sdg")), "InvalidInstanceID.NotFound");
    let missing = VolumeId::new("vol-01234567").unwrap();
    fixture.instance = instance;
    assert_eq!(code(fixture.attach(&missing, "/dev/sdg")), "InvalidVolume.NotFound");
}

#[test]
fn detaching_needs_an_attachment_to_that_instance() {
    let mut fixture = Fixture::quick();
    let id = fixture.volume();
    let error = fixture.detach(&id).unwrap_err();
    assert_eq!(error.to_string(), format!("IncorrectState: Volume '{id}' is in the 'available' state."));
    fixture.attach(&id, "/dev/sdf").unwrap();
    let request = DetachVolume { volume_id: id.clone(), instance_id: Some(InstanceId::new("i-01234567").unwrap()) };
    let result = fixture.model.detach_volume(fixture.now, &fixture.region, &request);
    assert_eq!(code(result), "InvalidAttachment.NotFound");
    assert_eq!(code(fixture.detach(&VolumeId::new("vol-01234567").unwrap())), "InvalidVolume.NotFound");
}

#[test]
fn a_mounted_volume_is_busy_until_it_is_unmounted() {
    let mut fixture = Fixture::new(delays());
    let id = fixture.volume();
    let region = fixture.region.clone();
    fixture.attach(&id, "/dev/sdf").unwrap();
    fixture.pass(Millis(100));
    fixture.model.set_mounted(fixture.now, &region, &id, true).unwrap();
    assert_eq!(fixture.detach(&id).unwrap().state, AttachmentState::Busy);
    fixture.pass(Millis::minutes(60));
    assert_eq!(state(&fixture, &id), (VolumeState::InUse, Some(AttachmentState::Busy)));
    assert_eq!(fixture.detach(&id).unwrap().state, AttachmentState::Busy);
    fixture.model.set_mounted(fixture.now, &region, &id, false).unwrap();
    assert_eq!(state(&fixture, &id), (VolumeState::InUse, Some(AttachmentState::Detaching)));
    fixture.pass(Millis(200));
    assert_eq!(state(&fixture, &id), (VolumeState::Available, None));
}
