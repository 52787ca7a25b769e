//! Leases on several hosts, at the same moment.

use std::{collections::BTreeSet, sync::Arc};

use bakehouse_controller::{
    ports::{LeaseRequest, Store as _},
    stack::Registry as _,
};
use bakehouse_controller_aws::stack::Table;
use bakehouse_machine::{FaultKind, resources::Lease};
use bakehouse_protocol::{Millis, spec::Architecture};

use crate::stack::{self, Stack, id, report};

async fn lease(stack: &Stack, table: &Table, n: u32) -> Option<Lease> {
    let (build, until) = (&id(n), stack.now() + Millis::minutes(30));
    let request = LeaseRequest { build, architecture: Architecture::X86_64, device: None, avoid: &[], until };
    table.lease(&request).await.unwrap()
}

async fn hear(stack: &Stack, table: &Table, n: u32) {
    table.host_seen(&report(n, stack.now()), stack.now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn builds_that_ask_at_once_get_one_slot_each_and_no_slot_twice() {
    let test = "builds_that_ask_at_once_get_one_slot_each_and_no_slot_twice";
    let Some((stack, table)) = stack::with_table(test).await else { return };
    for n in 1..=3 {
        hear(&stack, &table, n).await;
    }
    let (stack, table) = (Arc::new(stack), Arc::new(table));
    let mut asking = tokio::task::JoinSet::new();
    for n in 1..=8 {
        let (stack, table) = (stack.clone(), table.clone());
        asking.spawn(async move { lease(&stack, &table, n).await });
    }
    let given = asking.join_all().await;
    let places: Vec<_> = given.into_iter().flatten().map(|lease| (lease.host, lease.device)).collect();
    assert_eq!(places.len(), 6, "three hosts with two slots");
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 6, "{places:?}");
    let hosts = table.hosts().await.unwrap();
    assert!(hosts.iter().all(|host| host.leases.held(stack.now()).count() == 2), "{hosts:?}");
}

#[tokio::test]
async fn a_heartbeat_and_a_drain_leave_the_leases_alone() {
    let test = "a_heartbeat_and_a_drain_leave_the_leases_alone";
    let Some((stack, table)) = stack::with_table(test).await else { return };
    hear(&stack, &table, 1).await;
    let first = lease(&stack, &table, 1).await.unwrap();
    stack.clock.advance(Millis::seconds(20));
    hear(&stack, &table, 1).await;
    table.drain(&first.host, true).await.unwrap();
    let later = stack.now() + Millis::minutes(60);
    assert_eq!(table.renew(&id(1), &first, later).await.unwrap().until, later);
    assert_eq!(lease(&stack, &table, 1).await.unwrap().device, first.device, "drained, and kept");
    assert_eq!(lease(&stack, &table, 2).await, None, "drained, and given to no other");
}

#[tokio::test]
async fn a_lost_host_is_left_and_a_forgotten_one_has_no_leases() {
    let test = "a_lost_host_is_left_and_a_forgotten_one_has_no_leases";
    let Some((stack, table)) = stack::with_table(test).await else { return };
    assert_eq!(lease(&stack, &table, 1).await, None, "no host at all: one may come");
    hear(&stack, &table, 1).await;
    let first = lease(&stack, &table, 1).await.unwrap();
    stack.clock.advance(Millis::seconds(120));
    assert_eq!(lease(&stack, &table, 1).await, None, "it was not heard of for two minutes");
    let fault = table.renew(&id(1), &first, stack.now()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");

    hear(&stack, &table, 2).await;
    let second = lease(&stack, &table, 1).await.unwrap();
    assert_eq!(second.host, report(2, stack.now()).host);
    table.forget_host(&second.host).await.unwrap();
    let fault = table.renew(&id(1), &second, stack.now()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    table.release(&id(1), &second).await.unwrap();
}
