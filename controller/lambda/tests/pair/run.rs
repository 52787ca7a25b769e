//! Lets a stack work until nothing is left to do, and checks what must hold then.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bakehouse_controller::stack::HostRecord;
use bakehouse_lambda::bounded_join::{Task, TaskOutcome, bounded_join};
use bakehouse_machine::{Phase, tags::BUILD_TAG};
use bakehouse_protocol::{BuildId, InboxMessage, Millis, Timestamp};

use crate::{
    agent, instances, mapping,
    simulation::{START, Simulation},
};

const LIMIT: Millis = Millis::minutes(60 * 30);

impl Simulation {
    /// Whether only patrols and host reports are left to handle.
    fn is_quiet(&self) -> bool {
        let state = self.state();
        state.open.is_empty()
            && state.inbox.iter().all(|message| message.body.contains("patrol") || message.body.contains("\"host\""))
    }

    /// Lets the stack work until nothing is left to do: `functions` at once, hosts, a patrol every minute.
    pub fn work(self: &Arc<Self>, functions: usize) {
        self.work_with(functions, async {});
    }

    /// The same, while something else happens.
    pub fn work_with(self: &Arc<Self>, functions: usize, meanwhile: impl Future<Output = ()> + Send) {
        let finished = AtomicBool::new(false);
        let over = AtomicBool::new(false);
        let mut tasks: Vec<Task<'_, ()>> =
            (0..functions).map(|_| Box::pin(mapping::invocations(self.clone(), &over)) as Task<'_, ()>).collect();
        tasks.push(Box::pin(agent::hosts(self, &over)));
        tasks.push(Box::pin(instances::run(self, &over)));
        tasks.push(Box::pin(async {
            meanwhile.await;
            finished.store(true, Ordering::Relaxed);
        }));
        tasks.push(Box::pin(async {
            let mut beats = 0u64;
            while !(finished.load(Ordering::Relaxed) && self.is_quiet()) {
                assert!(self.time.now() < START + LIMIT, "it does not end: {:?}", self.state().builds());
                if beats.is_multiple_of(60) {
                    self.send(InboxMessage::Patrol);
                }
                beats += 1;
                self.time.sleep(Millis::seconds(1)).await;
            }
            over.store(true, Ordering::Relaxed);
        }));
        let done = self.time.run(bounded_join(tasks, 100, std::future::pending()));
        for one in done {
            assert!(matches!(one, TaskOutcome::Completed(())), "{one:?}");
        }
    }

    /// Checks what must hold at the end, whatever faults there were.
    pub fn check(&self) {
        let everything = self.everything();
        let state = self.state();
        let builds = state.builds();
        for build in &builds {
            let shown = || format!("{build:#?}");
            assert!(build.phase.has_ended(), "{}", shown());
            assert!(build.leftovers.is_empty(), "{}", shown());
            assert!(state.hosts.values().all(|host| !holds(host, &build.id, self.time.now())), "a lease: {}", shown());
            for place in &everything {
                let tagged = |tags: &BTreeMap<String, String>| {
                    tags.get(BUILD_TAG).map(String::as_str) == Some(build.id.as_str())
                };
                let images = place.images.iter().filter(|image| tagged(&image.tags)).count();
                let snapshots = place.snapshots.iter().filter(|snapshot| tagged(&snapshot.tags)).count();
                let wanted = usize::from(build.phase == Phase::Succeeded && place.region == build.region);
                assert_eq!((images, snapshots), (wanted, wanted), "in {}: {}", place.region, shown());
                assert!(place.volumes.is_empty(), "volumes: {:?}: {}", place.volumes, shown());
            }
        }
        assert!(
            state.agents.values().all(|agent| !state.up.contains(&agent.host) || agent.is_over()),
            "an agent works on"
        );
    }
}

fn holds(host: &HostRecord, build: &BuildId, now: Timestamp) -> bool {
    host.leases.held(now).any(|(holder, _)| holder == build)
}
