//! The port `Registry`: builds, hosts and recipes.

use bakehouse_controller::{
    ports::Store as _,
    stack::{BuildSummary, Recipe, Registry as _},
};
use bakehouse_machine::{
    Build,
    build::{Phase, PhaseName},
    resources::{VolumeRecord, VolumeStage},
};
use bakehouse_protocol::{BundleRef, Millis, Timestamp, VolumeId};

use super::{
    fixture::TableFixture,
    records::{build, id, report},
};

async fn change(fixture: &impl TableFixture, n: u32, change: impl FnOnce(&mut Build)) {
    let (mut build, version) = fixture.table().load(&id(n)).await.unwrap();
    change(&mut build);
    fixture.table().save(&build, version).await.unwrap();
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

/// A second `create` leaves the record as it is.
pub async fn a_build_is_created_once(fixture: &impl TableFixture) {
    assert!(fixture.table().create(&build(1)).await.unwrap());
    change(fixture, 1, |build| build.leftovers.push("changed".to_owned())).await;
    assert!(!fixture.table().create(&build(1)).await.unwrap());
    assert_eq!(fixture.table().load(&id(1)).await.unwrap().0.leftovers, ["changed"]);
}

/// `running` lists what has not ended; `builds` the newest of all, newest first.
pub async fn builds_are_listed_by_state_and_by_age(fixture: &impl TableFixture) {
    let table = fixture.table();
    for n in [2, 1, 4, 3] {
        table.create(&build(n)).await.unwrap();
    }
    let end = |build: &mut Build| build.phase = Phase::Cancelled;
    change(fixture, 3, end).await;
    change(fixture, 1, end).await;

    let ids = |list: Vec<BuildSummary>| list.into_iter().map(|line| line.id).collect::<Vec<_>>();
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

/// More hosts than one BatchGetItem reads are all listed, by name.
pub async fn more_hosts_than_one_page_are_all_listed(fixture: &impl TableFixture) {
    for n in 1..=120 {
        fixture.heartbeat(n).await;
    }
    let hosts = fixture.table().hosts().await.unwrap();
    assert_eq!(hosts.len(), 120);
    assert!(hosts.is_sorted_by_key(|host| host.report.host.clone()));
}

/// A notification of EC2 finds its build by the id that it names.
pub async fn a_build_is_listed_with_the_ids_of_its_resources(fixture: &impl TableFixture) {
    let table = fixture.table();
    table.create(&build(1)).await.unwrap();
    table.create(&build(2)).await.unwrap();
    let volume = VolumeId::new("vol-01234567").unwrap();
    let record = VolumeRecord { id: volume, created_at: Timestamp(1), stage: VolumeStage::Creating };
    change(fixture, 2, |build| build.resources.volume = Some(record)).await;
    let with = |list: Vec<BuildSummary>| {
        let found = list.into_iter().filter(|line| line.resources.contains(&"vol-01234567".to_owned()));
        found.map(|line| line.id).collect::<Vec<_>>()
    };
    assert_eq!(with(table.running().await.unwrap()), [id(2)]);
    change(fixture, 2, |build| build.resources.volume = None).await;
    assert_eq!(with(table.running().await.unwrap()), []);
}

/// Only a report with a later time replaces the last one; a repeated report counts as no new sign of life.
pub async fn an_older_report_of_a_host_changes_nothing(fixture: &impl TableFixture) {
    let at = |seconds| Timestamp(1_000_000) + Millis::seconds(seconds);
    let first = fixture.host_seen(&report(1, at(10)), at(11)).await;
    assert_eq!((first.seen, first.drained), (at(11), false));
    fixture.table().drain(&first.report.host, true).await.unwrap();

    let mut late = report(1, at(5));
    late.slots = 9;
    let kept = fixture.host_seen(&late, at(20)).await;
    assert_eq!((kept.report.slots, kept.seen), (2, at(11)));
    // The same message, a second time.
    assert_eq!(fixture.host_seen(&report(1, at(10)), at(300)).await.seen, at(11));

    let mut newer = report(1, at(15));
    newer.slots = 3;
    let now = fixture.host_seen(&newer, at(21)).await;
    assert_eq!((now.report.slots, now.seen, now.drained), (3, at(21), true));
    assert_eq!(fixture.table().hosts().await.unwrap(), [now]);
}

/// A host whose clock was far ahead is seen again once it is set right.
pub async fn a_report_from_a_clock_far_ahead_is_replaced(fixture: &impl TableFixture) {
    let now = Timestamp(1_000_000);
    fixture.host_seen(&report(1, now + Millis::minutes(600)), now).await;
    let later = now + Millis::seconds(20);
    assert_eq!(fixture.host_seen(&report(1, later), later).await.seen, later);
}

/// A host that does not exist can't be drained, but forgotten.
pub async fn a_host_is_drained_undrained_and_forgotten(fixture: &impl TableFixture) {
    let table = fixture.table();
    let host = report(1, fixture.now()).host;
    let error = table.drain(&host, true).await.unwrap_err();
    assert_eq!(chain(&error), "draining the host i-00000001: there is no such host");
    fixture.heartbeat(1).await;
    table.drain(&host, true).await.unwrap();
    assert!(table.hosts().await.unwrap()[0].drained);
    table.drain(&host, false).await.unwrap();
    assert!(!table.hosts().await.unwrap()[0].drained);
    table.forget_host(&host).await.unwrap();
    table.forget_host(&host).await.unwrap();
    assert_eq!(table.hosts().await.unwrap(), []);
}

/// Recipes have unique names.
pub async fn recipes_are_kept_replaced_and_removed(fixture: &impl TableFixture) {
    let table = fixture.table();
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

/// A record that a newer program wrote is an error with both formats.
pub async fn a_record_of_a_newer_format_is_refused(fixture: &impl TableFixture) {
    let mut newer = build(1);
    newer.format = 2;
    fixture.table().create(&newer).await.unwrap();
    let error = fixture.table().load(&id(1)).await.unwrap_err();
    let message = format!("reading the record of {}: it is of format 2, and this program knows 1", id(1));
    assert_eq!(chain(&error), message);
}
