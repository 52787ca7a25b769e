//! The contract of `Store` and `Registry`, which the stack's table keeps too, on the table in memory.

use std::sync::Arc;

use bakehouse_controller::stack::{HostRecord, Queues as _, Registry as _};
use bakehouse_protocol::{HostReport, Millis, Timestamp};
use bakehouse_tests::contract::{HOST_SILENCE, OneHost, TableFixture};

use crate::{function::Function, simulation::Simulation, stack::Memory};

struct InMemory {
    simulation: Arc<Simulation>,
    table: Memory,
}

impl TableFixture for InMemory {
    type Table = Memory;
    fn table(&self) -> &Memory {
        &self.table
    }
    fn now(&self) -> Timestamp {
        self.simulation.time.now()
    }
    async fn advance(&self, by: Millis) {
        self.simulation.time.sleep(by).await;
    }
    async fn host_seen(&self, report: &HostReport, now: Timestamp) -> HostRecord {
        self.table.ensure(report).await.expect("a queue");
        self.table.host_seen(report, now).await.expect("a record of the host")
    }
}

fn in_memory(_test: &str, case: impl AsyncFnOnce(InMemory)) {
    let mut simulation = Simulation::new(1);
    Arc::get_mut(&mut simulation).expect("nobody else has it").config.host_silence_seconds = HOST_SILENCE.0 / 1000;
    let table = Memory::new(Function::new(simulation.clone()));
    simulation.time.run(case(InMemory { simulation: simulation.clone(), table }));
}

fn in_memory_with_host(test: &str, case: impl AsyncFnOnce(OneHost<InMemory>)) {
    in_memory(test, async |table| case(OneHost::new(table).await).await);
}

bakehouse_tests::table_contract!(crate::contract::in_memory, crate::contract::in_memory_with_host);
