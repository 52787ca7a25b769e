//! The port `Registry`, and ticks beside the records.

use bakehouse_controller::{
    ports::{Store as _, StoreError, Version},
    stack::{Recipe, Registry as _},
};
use bakehouse_controller_aws::stack::Table;
use bakehouse_machine::{
    Build,
    build::{Phase, PhaseName},
    resources::{VolumeRecord, VolumeStage},
};
use bakehouse_protocol::{BundleRef, Millis, Timestamp, VolumeId};

use crate::{
    network,
    stack::{self, build, id, report},
};

async fn change(table: &Table, n: u32, change: impl FnOnce(&mut Build)) {
    let (mut build, version) = table.load(&id(n)).await.unwrap();
    change(&mut build);
    table.save(&build, version).await.unwrap();
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

#[tokio::test]
async fn a_build_is_created_once_and_left_as_it_was() {
    let Some((_stack, table)) = stack::with_table("a_build_is_created_once_and_left_as_it_was").await else { return };
    assert!(table.create(&build(1)).await.unwrap());
    change(&table, 1, |build| build.leftovers.push("changed".to_owned())).await;
    assert!(!table.create(&build(1)).await.unwrap());
    assert_eq!(table.load(&id(1)).await.unwrap().0.leftovers, ["changed"]);
}

#[tokio::test]
async fn builds_are_listed_by_state_and_by_age() {
    let Some((_stack, table)) = stack::with_table("builds_are_listed_by_state_and_by_age").await else { return };
    for n in [2, 1, 4, 3] {
        table.create(&build(n)).await.unwrap();
    }
    let end = |build: &mut Build| build.phase = Phase::Cancelled;
    change(&table, 3, end).await;
    change(&table, 1, end).await;

    let ids = |list: Vec<bakehouse_controller::stack::Listed>| list.into_iter().map(|one| one.id).collect::<Vec<_>>();
    let mut running = ids(table.running().await.unwrap());
    running.sort();
    assert_eq!(running, [id(2), id(4)]);
    assert_eq!(ids(table.builds(10).await.unwrap()), [id(4), id(3), id(2), id(1)]);
    assert_eq!(ids(table.builds(3).await.unwrap()), [id(4), id(3), id(2)]);
    assert_eq!(ids(table.builds(1).await.unwrap()), [id(4)]);

    let third = &table.builds(2).await.unwrap()[1];
    assert_eq!((third.phase, third.recipe.as_str()), (PhaseName::Cancelled, "recipe-3"));
    assert_eq!(third.accepted_at, Timestamp(3000));
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_read_to_its_end() {
    let test = "a_list_longer_than_a_page_is_read_to_its_end";
    let Some((stack, table)) = stack::with_table(test).await else { return };
    // More hosts than one BatchGetItem takes.
    for n in 1..=120 {
        table.host_seen(&report(n, stack.now()), stack.now()).await.unwrap();
    }
    let hosts = table.hosts().await.unwrap();
    assert_eq!(hosts.len(), 120);
    assert!(hosts.is_sorted_by_key(|host| host.report.host.clone()));
}

#[tokio::test]
async fn a_notification_finds_its_build_by_what_it_names() {
    let test = "a_notification_finds_its_build_by_what_it_names";
    let Some((_stack, table)) = stack::with_table(test).await else { return };
    table.create(&build(1)).await.unwrap();
    table.create(&build(2)).await.unwrap();
    let volume = VolumeId::new("vol-01234567").unwrap();
    let record = VolumeRecord { id: volume, created_at: Timestamp(1), stage: VolumeStage::Creating };
    change(&table, 2, |build| build.resources.volume = Some(record)).await;
    let with = |list: Vec<bakehouse_controller::stack::Listed>| {
        let found = list.into_iter().filter(|one| one.resources.contains(&"vol-01234567".to_owned()));
        found.map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(with(table.running().await.unwrap()), [id(2)]);
    change(&table, 2, |build| build.resources.volume = None).await;
    assert_eq!(with(table.running().await.unwrap()), []);
}

#[tokio::test]
async fn a_tick_is_noted_beside_the_record() {
    let Some((_stack, table)) = stack::with_table("a_tick_is_noted_beside_the_record").await else { return };
    table.create(&build(1)).await.unwrap();
    let (mut build, version) = table.load(&id(1)).await.unwrap();
    table.note_tick(&id(1), Timestamp(77)).await.unwrap();
    build.leftovers.push("changed".to_owned());
    table.save(&build, version).await.expect("the note is no conflict");
    assert_eq!(table.tick_at(&id(1)).await.unwrap(), Some(Timestamp(77)), "and not lost by the save");
    assert_eq!(table.running().await.unwrap()[0].tick_at, Some(Timestamp(77)));

    table.note_tick(&id(9), Timestamp(77)).await.unwrap();
    assert_eq!(table.tick_at(&id(9)).await.unwrap(), None, "no item is made by a note");
}

#[tokio::test]
async fn an_older_report_of_a_host_changes_nothing() {
    let Some((_stack, table)) = stack::with_table("an_older_report_of_a_host_changes_nothing").await else { return };
    let at = |seconds| Timestamp(1_000_000) + Millis::seconds(seconds);
    let first = table.host_seen(&report(1, at(10)), at(11)).await.unwrap();
    assert_eq!((first.seen, first.drained), (at(11), false));
    table.drain(&report(1, at(10)).host, true).await.unwrap();

    let mut late = report(1, at(5));
    late.slots = 9;
    let kept = table.host_seen(&late, at(20)).await.unwrap();
    assert_eq!((kept.report.slots, kept.seen), (2, at(11)));
    // The same message, a second time: nobody has heard of the host since.
    assert_eq!(table.host_seen(&report(1, at(10)), at(300)).await.unwrap().seen, at(11));

    let mut newer = report(1, at(15));
    newer.slots = 3;
    let now = table.host_seen(&newer, at(21)).await.unwrap();
    assert_eq!((now.report.slots, now.seen, now.drained), (3, at(21), true));
    assert_eq!(table.hosts().await.unwrap(), [now]);
}

#[tokio::test]
async fn a_clock_that_ran_ahead_does_not_keep_a_host_out() {
    let test = "a_clock_that_ran_ahead_does_not_keep_a_host_out";
    let Some((_stack, table)) = stack::with_table(test).await else { return };
    let now = Timestamp(1_000_000);
    table.host_seen(&report(1, now + Millis::minutes(600)), now).await.unwrap();
    let later = now + Millis::seconds(20);
    assert_eq!(table.host_seen(&report(1, later), later).await.unwrap().seen, later);
}

#[tokio::test]
async fn a_host_is_drained_put_back_and_forgotten() {
    let Some((stack, table)) = stack::with_table("a_host_is_drained_put_back_and_forgotten").await else { return };
    let host = report(1, stack.now()).host;
    let error = table.drain(&host, true).await.unwrap_err();
    assert_eq!(chain(&error), "draining the host i-00000001: there is no such host");
    table.host_seen(&report(1, stack.now()), stack.now()).await.unwrap();
    table.drain(&host, true).await.unwrap();
    assert!(table.hosts().await.unwrap()[0].drained);
    table.drain(&host, false).await.unwrap();
    assert!(!table.hosts().await.unwrap()[0].drained);
    table.forget_host(&host).await.unwrap();
    table.forget_host(&host).await.unwrap();
    assert_eq!(table.hosts().await.unwrap(), []);
}

#[tokio::test]
async fn recipes_are_kept_replaced_and_removed() {
    let Some((_stack, table)) = stack::with_table("recipes_are_kept_replaced_and_removed").await else { return };
    let bundle = BundleRef { key: "bundles/x.tar.gz".to_owned(), sha256: "x".to_owned(), size: 1 };
    let recipe = |name: &str, on_release| Recipe {
        name: name.to_owned(),
        bundle: bundle.clone(),
        vars: [("a".to_owned(), "b".to_owned())].into(),
        on_release,
        sources: Default::default(),
    };
    table.put_recipe(&recipe("web", false)).await.unwrap();
    table.put_recipe(&recipe("db", false)).await.unwrap();
    table.put_recipe(&recipe("web", true)).await.unwrap();
    assert_eq!(table.recipes().await.unwrap(), [recipe("db", false), recipe("web", true)]);
    assert_eq!(table.recipe("web").await.unwrap(), Some(recipe("web", true)));
    assert_eq!(table.recipe("mail").await.unwrap(), None);
    assert!(table.remove_recipe("web").await.unwrap());
    assert!(!table.remove_recipe("web").await.unwrap());
    assert_eq!(table.recipes().await.unwrap(), [recipe("db", false)]);
}

#[tokio::test]
async fn a_record_that_fits_in_no_item_is_refused_and_the_old_one_stays() {
    let test = "a_record_that_fits_in_no_item_is_refused_and_the_old_one_stays";
    let Some((_stack, table)) = stack::with_table(test).await else { return };
    table.create(&build(1)).await.unwrap();
    let (mut large, version) = table.load(&id(1)).await.unwrap();
    let mut seed = 1u64;
    large.leftovers = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{seed:016x}")
    })
    .take(60_000)
    .collect();
    let words = chain(&table.save(&large, version).await.unwrap_err());
    assert!(words.starts_with(&format!("saving the record of {}: it is ", id(1))), "{words}");
    assert!(words.ends_with("kB even compressed, and an item of the table holds 384 kB"), "{words}");
    assert_eq!(table.load(&id(1)).await.unwrap(), (build(1), version));
}

#[tokio::test]
async fn a_record_of_a_newer_format_is_refused() {
    let Some((_stack, table)) = stack::with_table("a_record_of_a_newer_format_is_refused").await else { return };
    let mut newer = build(1);
    newer.format = 2;
    table.create(&newer).await.unwrap();
    let error = table.load(&id(1)).await.unwrap_err();
    let words = format!("reading the record of {}: it is of format 2, and this program knows 1", id(1));
    assert_eq!(chain(&error), words);
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named() {
    let Some(stack) = stack::bare("a_table_that_is_not_there_is_named") else { return };
    let error = stack.table().load(&id(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }));
    let words = chain(&error);
    assert!(words.contains(&format!("GetItem build#{} in the table bakehouse", id(1))), "{words}");
    assert!(words.contains("is the stack deployed in this region and account?"), "{words}");
}

#[tokio::test]
async fn a_save_whose_answer_was_lost_is_no_conflict_with_itself() {
    let test = "a_save_whose_answer_was_lost_is_no_conflict_with_itself";
    let Some((stack, table)) = stack::with_table(test).await else { return };
    let lossy = network::Proxy::before(stack.moto.endpoint(), "DynamoDB_20120810.UpdateItem");
    let through = stack.sdk.to_builder().endpoint_url(lossy.endpoint()).build();
    let doubtful = Table::new(&through, &stack.config, stack.clock.clone());

    lossy.lose_next_answer();
    assert!(doubtful.create(&build(1)).await.unwrap(), "it was we who created it");
    lossy.lose_next_answer();
    let saved = doubtful.save(&build(1), Version(1)).await.unwrap();
    assert_eq!(saved, Version(2));
    assert_eq!(lossy.lost(), 2);

    // Somebody else's is one all the same.
    lossy.lose_next_answer();
    let refused = doubtful.save(&build(1), Version(1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(table.load(&id(1)).await.unwrap().1, Version(2));
}
