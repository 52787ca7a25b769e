use super::*;
use crate::{request::DescribeInstances, resource::InstanceState};

fn state(fixture: &Fixture) -> InstanceState {
    let all = fixture.model.describe_instances(fixture.now, &fixture.region, &DescribeInstances::default());
    all.unwrap()[0].state
}

fn start(fixture: &mut Fixture) -> Result<InstanceState, ApiError> {
    let (now, region, instance) = (fixture.now, fixture.region.clone(), fixture.instance.clone());
    fixture.model.start_instance(now, &region, &instance)
}

fn stop(fixture: &mut Fixture) -> Result<InstanceState, ApiError> {
    let (now, region, instance) = (fixture.now, fixture.region.clone(), fixture.instance.clone());
    fixture.model.stop_instance(now, &region, &instance)
}

#[test]
fn stopping_and_starting_an_instance_take_their_time() {
    let delays = Delays { start_instance: Millis(100), stop_instance: Millis(200), ..Delays::default() };
    let mut fixture = Fixture::new(delays);
    assert_eq!(stop(&mut fixture).unwrap(), InstanceState::Stopping);
    assert_eq!(stop(&mut fixture).unwrap(), InstanceState::Stopping, "called twice");
    assert_eq!(code(start(&mut fixture)), "IncorrectInstanceState");
    fixture.pass(Millis(199));
    assert_eq!(state(&fixture), InstanceState::Stopping);
    fixture.pass(Millis(1));
    assert_eq!(state(&fixture), InstanceState::Stopped);
    assert_eq!(stop(&mut fixture).unwrap(), InstanceState::Stopped, "called late");
    assert_eq!(start(&mut fixture).unwrap(), InstanceState::Pending);
    assert_eq!(start(&mut fixture).unwrap(), InstanceState::Pending, "called twice");
    assert_eq!(code(stop(&mut fixture)), "IncorrectInstanceState");
    fixture.pass(Millis(100));
    assert_eq!(state(&fixture), InstanceState::Running);
    assert_eq!(start(&mut fixture).unwrap(), InstanceState::Running);
}

#[test]
fn a_volume_can_be_attached_to_a_stopped_instance_only() {
    let mut fixture = Fixture::new(Delays { stop_instance: Millis(200), ..Delays::default() });
    stop(&mut fixture).unwrap();
    let volume = fixture.volume();
    assert_eq!(code(fixture.attach(&volume, "/dev/sdf")), "IncorrectState");
    fixture.pass(Millis(200));
    fixture.attach(&volume, "/dev/sdf").unwrap();
}
