//! The instances of the hosts on demand.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use bakehouse_localcloud::{Ec2 as _, request::DescribeInstances, resource::InstanceState};
use bakehouse_protocol::{HostId, InstanceId, Millis, Timestamp};
use serde_json::json;

use crate::simulation::{Simulation, region};

/// The time from an instance's start to its agent's first report.
const BOOT: Millis = Millis::seconds(20);

/// Follows the instances of the hosts on demand, second by second: an agent runs where an instance runs, and EC2 sends
/// notifications of most changes.
pub async fn run(simulation: &Simulation, over: &AtomicBool) {
    let mut states: BTreeMap<InstanceId, (InstanceState, Timestamp)> = BTreeMap::new();
    while !over.load(Ordering::Relaxed) && !simulation.on_demand.instances.is_empty() {
        let now = simulation.time.now();
        simulation.cloud.set_now(now);
        let home = region();
        let all = simulation.cloud.describe_instances(&home, DescribeInstances::default());
        for instance in pollster::block_on(all).expect("instances") {
            let (id, state) = (instance.instance_id, instance.state);
            if !simulation.on_demand.instances.contains(&id) {
                continue;
            }
            let (known, since) = *states.entry(id.clone()).or_insert((state, Timestamp(0)));
            if known != state {
                states.insert(id.clone(), (state, now));
                notify(simulation, &id, state, now);
            }
            let host = HostId::new(id.as_str()).expect("a host");
            if state == InstanceState::Running && known == state && since + BOOT <= now {
                simulation.state().up.insert(host);
            } else if state != InstanceState::Running {
                simulation.state().up.remove(&host);
            }
        }
        simulation.time.sleep(Millis::seconds(1)).await;
    }
}

fn notify(simulation: &Simulation, id: &InstanceId, state: InstanceState, now: Timestamp) {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(now.0).expect("a time")).expect("a time");
    let body = json!({
        "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "time": format!("{time:.0}"),
        "detail": { "instance-id": id, "state": state.as_str() },
    });
    let mut all = simulation.state();
    if all.chance(80) {
        let delay = Millis::seconds(all.below(90));
        all.send(body.to_string(), now, delay);
    }
}
