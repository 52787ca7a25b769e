//! What the table does beyond the contract of its ports: ticks beside the records, and the limits of DynamoDB.

use bakehouse_controller::{
    ports::{Store as _, StoreError, Version},
    stack::Registry as _,
};
use bakehouse_controller_aws::stack::Table;
use bakehouse_protocol::Timestamp;
use bakehouse_tests::contract::{build, id};

use crate::{network, stack};

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"))
}

#[tokio::test]
async fn a_tick_is_noted_beside_the_record() {
    let Some((_stack, table)) = stack::with_table("a_tick_is_noted_beside_the_record").await else { return };
    table.create(&build(1)).await.unwrap();
    let (mut build, version) = table.load(&id(1)).await.unwrap();
    table.record_tick(&id(1), Timestamp(77)).await.unwrap();
    build.leftovers.push("changed".to_owned());
    table.save(&build, version).await.expect("the note is no conflict");
    assert_eq!(table.tick_at(&id(1)).await.unwrap(), Some(Timestamp(77)), "and not lost by the save");
    assert_eq!(table.running().await.unwrap()[0].tick_at, Some(Timestamp(77)));

    table.record_tick(&id(9), Timestamp(77)).await.unwrap();
    assert_eq!(table.tick_at(&id(9)).await.unwrap(), None, "no item is made by a note");
}

#[tokio::test]
async fn a_record_too_large_for_an_item_is_refused() {
    let Some((_stack, table)) = stack::with_table("a_record_too_large_for_an_item_is_refused").await else { return };
    table.create(&build(1)).await.unwrap();
    let (mut large, version) = table.load(&id(1)).await.unwrap();
    let mut seed = 1u64;
    large.leftovers = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{seed:016x}")
    })
    .take(60_000)
    .collect();
    let message = chain(&table.save(&large, version).await.unwrap_err());
    assert!(message.starts_with(&format!("saving the record of {}: it is ", id(1))), "{message}");
    assert!(message.ends_with("kB even compressed, and an item of the table holds 384 kB"), "{message}");
    assert_eq!(table.load(&id(1)).await.unwrap(), (build(1), version), "the old one stays");
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let Some(stack) = stack::bare("a_missing_table_is_named") else { return };
    let error = stack.table().load(&id(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }));
    let message = chain(&error);
    assert!(message.contains(&format!("GetItem build#{} in the table bakehouse", id(1))), "{message}");
    assert!(message.contains("is the stack deployed in this region and account?"), "{message}");
}

#[tokio::test]
async fn a_save_with_a_lost_response_is_no_conflict() {
    let test = "a_save_with_a_lost_response_is_no_conflict";
    let Some((stack, table)) = stack::with_table(test).await else { return };
    let lossy = network::Proxy::before(stack.moto.endpoint(), "DynamoDB_20120810.UpdateItem");
    let through = stack.sdk.to_builder().endpoint_url(lossy.endpoint()).build();
    let doubtful = Table::new(&through, &stack.config, stack.clock.clone());

    lossy.lose_next_answer();
    assert!(doubtful.create(&build(1)).await.unwrap(), "this very call created it");
    lossy.lose_next_answer();
    let saved = doubtful.save(&build(1), Version(1)).await.unwrap();
    assert_eq!(saved, Version(2));
    assert_eq!(lossy.lost(), 2);

    // A save over another's is a conflict all the same.
    lossy.lose_next_answer();
    let refused = doubtful.save(&build(1), Version(1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(table.load(&id(1)).await.unwrap().1, Version(2));
}
