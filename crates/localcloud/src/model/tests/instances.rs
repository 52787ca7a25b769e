use super::*;
use crate::{request::DescribeInstances, resource::InstanceState};

fn state(world: &World) -> InstanceState {
    let all = world.model.describe_instances(world.now, &world.region, &DescribeInstances::default());
    all.unwrap()[0].state
}

fn start(world: &mut World) -> Result<InstanceState, ApiError> {
    let (now, region, instance) = (world.now, world.region.clone(), world.instance.clone());
    world.model.start_instance(now, &region, &instance)
}

fn stop(world: &mut World) -> Result<InstanceState, ApiError> {
    let (now, region, instance) = (world.now, world.region.clone(), world.instance.clone());
    world.model.stop_instance(now, &region, &instance)
}

#[test]
fn an_instance_stops_and_starts_in_its_time() {
    let delays = Delays { start_instance: Millis(100), stop_instance: Millis(200), ..Delays::default() };
    let mut world = World::new(delays);
    assert_eq!(stop(&mut world).unwrap(), InstanceState::Stopping);
    assert_eq!(stop(&mut world).unwrap(), InstanceState::Stopping, "asked twice");
    assert_eq!(code(start(&mut world)), "IncorrectInstanceState");
    world.pass(Millis(199));
    assert_eq!(state(&world), InstanceState::Stopping);
    world.pass(Millis(1));
    assert_eq!(state(&world), InstanceState::Stopped);
    assert_eq!(stop(&mut world).unwrap(), InstanceState::Stopped, "asked late");
    assert_eq!(start(&mut world).unwrap(), InstanceState::Pending);
    assert_eq!(start(&mut world).unwrap(), InstanceState::Pending, "asked twice");
    assert_eq!(code(stop(&mut world)), "IncorrectInstanceState");
    world.pass(Millis(100));
    assert_eq!(state(&world), InstanceState::Running);
    assert_eq!(start(&mut world).unwrap(), InstanceState::Running);
}

#[test]
fn a_volume_can_be_attached_to_an_instance_that_has_stopped_and_to_none_that_stops() {
    let mut world = World::new(Delays { stop_instance: Millis(200), ..Delays::default() });
    stop(&mut world).unwrap();
    let volume = world.volume();
    assert_eq!(code(world.attach(&volume, "/dev/sdf")), "IncorrectState");
    world.pass(Millis(200));
    world.attach(&volume, "/dev/sdf").unwrap();
}
