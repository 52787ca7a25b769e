//! The instances of the hosts on demand.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use bakehouse_localcloud::{EmbeddedCloud as _, request::DescribeInstances, resource::InstanceState};
use bakehouse_protocol::{HostId, InstanceId, Millis, Timestamp};
use serde_json::json;

use crate::world::{World, region};

/// How long an instance takes from running to its agent's first word.
const BOOT: Millis = Millis::seconds(20);

/// The instances of the hosts on demand, second by second: an agent runs where one runs, and EC2 tells of changes, as it
/// mostly does.
pub async fn run(world: &World, over: &AtomicBool) {
    let mut states: BTreeMap<InstanceId, (InstanceState, Timestamp)> = BTreeMap::new();
    while !over.load(Ordering::Relaxed) && !world.on_demand.instances.is_empty() {
        let now = world.time.now();
        world.cloud.set_now(now);
        for instance in world.cloud.describe_instances(&region(), DescribeInstances::default()).expect("instances") {
            let (id, state) = (instance.instance_id, instance.state);
            if !world.on_demand.instances.contains(&id) {
                continue;
            }
            let (known, since) = *states.entry(id.clone()).or_insert((state, Timestamp(0)));
            if known != state {
                states.insert(id.clone(), (state, now));
                tell(world, &id, state, now);
            }
            let host = HostId::new(id.as_str()).expect("a host");
            if state == InstanceState::Running && known == state && since + BOOT <= now {
                world.state().up.insert(host);
            } else if state != InstanceState::Running {
                world.state().up.remove(&host);
            }
        }
        world.time.sleep(Millis::seconds(1)).await;
    }
}

fn tell(world: &World, id: &InstanceId, state: InstanceState, now: Timestamp) {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(now.0).expect("a time")).expect("a time");
    let body = json!({
        "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "time": format!("{time:.0}"),
        "detail": { "instance-id": id, "state": state.as_str() },
    });
    let mut all = world.state();
    if all.chance(80) {
        let delay = Millis::seconds(all.below(90));
        all.send(body.to_string(), now, delay);
    }
}
