use super::*;
use crate::{
    request::DescribeInstances,
    resource::{AttachmentState, InstanceState, VolumeState},
};

fn delays() -> Delays {
    Delays { attach: Millis(100), detach: Millis(200), device_release: Millis(300), ..Delays::default() }
}

fn state(world: &World, id: &VolumeId) -> (VolumeState, Option<AttachmentState>) {
    let volume = world.describe_volume(id).unwrap();
    (volume.state, volume.attachments.first().map(|it| it.state))
}

#[test]
fn an_attachment_comes_and_goes_in_its_time_and_its_name_is_free_later() {
    let mut world = World::new(delays());
    let (id, other) = (world.volume(), world.volume());
    assert_eq!(world.attach(&id, "/dev/sdf").unwrap().state, AttachmentState::Attaching);
    assert_eq!(state(&world, &id), (VolumeState::InUse, Some(AttachmentState::Attaching)));
    world.pass(Millis(100));
    assert_eq!(state(&world, &id), (VolumeState::InUse, Some(AttachmentState::Attached)));
    assert_eq!(world.detach(&id).unwrap().state, AttachmentState::Detaching);
    assert_eq!(state(&world, &id), (VolumeState::InUse, Some(AttachmentState::Detaching)));
    assert_eq!(code(world.detach(&id)), "IncorrectState");
    world.pass(Millis(200));
    assert_eq!(state(&world, &id), (VolumeState::Available, None));
    assert_eq!(code(world.attach(&other, "/dev/sdf")), "InvalidParameterValue");
    world.pass(Millis(300));
    world.attach(&other, "/dev/sdf").unwrap();
}

#[test]
fn of_two_who_ask_for_a_name_one_gets_it() {
    let mut world = World::quick();
    let (a, b) = (world.volume(), world.volume());
    world.attach(&a, "/dev/sdf").unwrap();
    let error = world.attach(&b, "/dev/sdf").unwrap_err();
    assert_eq!(
        error.to_string(),
        "InvalidParameterValue: Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use"
    );
    assert_eq!(code(world.attach(&b, "/dev/xvdf")), "InvalidParameterValue", "same ending");
    assert_eq!(code(world.attach(&b, "/dev/sda")), "InvalidParameterValue", "the root's");
    assert_eq!(code(world.attach(&b, "/dev/sdf1")), "InvalidParameterValue", "no name");
    assert_eq!(code(world.attach(&b, "/dev/xvdez")), "InvalidParameterValue", "no name");
    world.attach(&b, "/dev/xvdba").unwrap();
    let instance = world.instance.clone();
    let all = world.model.describe_instances(
        world.now,
        &world.region,
        &DescribeInstances { instance_ids: vec![instance], filters: Vec::new() },
    );
    let taken: Vec<_> = all.unwrap()[0].block_device_mappings.iter().map(|it| it.device_name.to_string()).collect();
    assert_eq!(taken.len(), 2);
    assert!(taken.contains(&"/dev/sdf".to_owned()) && taken.contains(&"/dev/xvdba".to_owned()));
}

#[test]
fn a_hidden_name_is_taken_though_nothing_shows() {
    let mut world = World::quick();
    let (region, instance) = (world.region.clone(), world.instance.clone());
    let sdb = DeviceName::new("/dev/sdb").unwrap();
    world.model.set_instance_slots(&region, &instance, 1, [sdb]).unwrap();
    let (a, b) = (world.volume(), world.volume());
    assert_eq!(code(world.attach(&a, "/dev/sdb")), "InvalidParameterValue");
    world.attach(&a, "/dev/sdc").unwrap();
    assert_eq!(code(world.attach(&b, "/dev/sdd")), "AttachmentLimitExceeded");
}

#[test]
fn attaching_needs_an_available_volume_and_an_instance_in_its_zone() {
    let mut world = World::new(Delays { create_volume: Millis(100), ..Delays::default() });
    let id = world.volume();
    assert_eq!(code(world.attach(&id, "/dev/sdf")), "IncorrectState");
    let elsewhere = CreateVolume { availability_zone: Zone::new("us-east-1b").unwrap(), ..world.empty() };
    let elsewhere = world.create(&elsewhere).unwrap().volume_id;
    world.pass(Millis(100));
    assert_eq!(code(world.attach(&elsewhere, "/dev/sdf")), "InvalidVolume.ZoneMismatch");
    let (region, instance) = (world.region.clone(), world.instance.clone());
    for (instance_state, refused) in
        [(InstanceState::Stopping, true), (InstanceState::Terminated, true), (InstanceState::Stopped, false)]
    {
        world.model.set_instance_state(&region, &instance, instance_state).unwrap();
        let result = world.attach(&id, "/dev/sdf");
        assert_eq!(result.is_err(), refused, "{instance_state}");
        if refused {
            assert_eq!(code(result), "IncorrectState");
        }
    }
    assert_eq!(code(world.attach(&id, "/dev/sdg")), "VolumeInUse");
    world.instance = InstanceId::new("i-01234567").unwrap();
    assert_eq!(code(world.attach(&id, "/dev/sdg")), "InvalidInstanceID.NotFound");
    let missing = VolumeId::new("vol-01234567").unwrap();
    world.instance = instance;
    assert_eq!(code(world.attach(&missing, "/dev/sdg")), "InvalidVolume.NotFound");
}

#[test]
fn detaching_needs_an_attachment_to_that_instance() {
    let mut world = World::quick();
    let id = world.volume();
    let error = world.detach(&id).unwrap_err();
    assert_eq!(error.to_string(), format!("IncorrectState: Volume '{id}' is in the 'available' state."));
    world.attach(&id, "/dev/sdf").unwrap();
    let request = DetachVolume { volume_id: id.clone(), instance_id: Some(InstanceId::new("i-01234567").unwrap()) };
    let result = world.model.detach_volume(world.now, &world.region, &request);
    assert_eq!(code(result), "InvalidAttachment.NotFound");
    assert_eq!(code(world.detach(&VolumeId::new("vol-01234567").unwrap())), "InvalidVolume.NotFound");
}

#[test]
fn a_mounted_volume_is_busy_until_it_is_unmounted() {
    let mut world = World::new(delays());
    let id = world.volume();
    let region = world.region.clone();
    world.attach(&id, "/dev/sdf").unwrap();
    world.pass(Millis(100));
    world.model.set_mounted(world.now, &region, &id, true).unwrap();
    assert_eq!(world.detach(&id).unwrap().state, AttachmentState::Busy);
    world.pass(Millis::minutes(60));
    assert_eq!(state(&world, &id), (VolumeState::InUse, Some(AttachmentState::Busy)));
    assert_eq!(world.detach(&id).unwrap().state, AttachmentState::Busy);
    world.model.set_mounted(world.now, &region, &id, false).unwrap();
    assert_eq!(state(&world, &id), (VolumeState::InUse, Some(AttachmentState::Detaching)));
    world.pass(Millis(200));
    assert_eq!(state(&world, &id), (VolumeState::Available, None));
}
