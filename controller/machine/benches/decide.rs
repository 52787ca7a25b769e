//! How long one decision takes: `cargo bench -p bakehouse-machine`.

use bakehouse_machine::{Build, Decision, Event, Timing, build::NewBuild, decide};
use bakehouse_protocol::{
    BuildId, BuildSpec, Region, Timestamp,
    spec::{ImageQuery, Source},
};

fn main() {
    divan::main();
}

fn build() -> Build {
    let spec = BuildSpec::minimal("web", Source::Image(ImageQuery::default()));
    let region = Region::try_from("us-east-1".to_owned()).unwrap_or_else(|error| panic!("{error}"));
    let new = NewBuild {
        id: BuildId::from_parts(1, 2),
        spec,
        region,
        recipe: "web".into(),
        files: "/".into(),
        bundle: None,
        timing: Timing::AWS,
    };
    Build::new(new, Timestamp(0))
}

/// The first decision of a build: one phase change, one command.
#[divan::bench(sample_size = 1000)]
fn first_tick(bencher: divan::Bencher<'_, '_>) {
    let build = build();
    bencher
        .counter(divan::counter::ItemsCount::new(1usize))
        .bench(|| decide(divan::black_box(&build), Event::Tick, Timestamp(1)));
}

/// A tick that changes nothing, as most do.
#[divan::bench(sample_size = 1000)]
fn idle_tick(bencher: divan::Bencher<'_, '_>) {
    let Decision::Advance { next, .. } = decide(&build(), Event::Tick, Timestamp(1)) else { return };
    bencher
        .counter(divan::counter::ItemsCount::new(1usize))
        .bench(|| decide(divan::black_box(&next), Event::Tick, Timestamp(2)));
}
