//! How long one decision takes: `cargo bench -p bakehouse-machine`.

use bakehouse_machine::{Build, Event, Pace, Verdict, build::NewBuild, decide};
use bakehouse_protocol::{
    BuildId, BuildSpec, Late, Region, Timestamp,
    spec::{Architecture, ChrootSpec, ImageQuery, ImageSpec, Source},
};

fn main() {
    divan::main();
}

fn build() -> Build {
    let spec = BuildSpec {
        name: "amazon-chroot".into(),
        region: None,
        source: Source::Image(ImageQuery::default()),
        root_volume_size: None,
        image: ImageSpec {
            name: "web".into(),
            description: Late::default(),
            virtualization: None,
            architecture: Architecture::X86_64,
            root_device_name: None,
            block_device_mappings: vec![],
            users: vec![],
            groups: vec![],
            product_codes: vec![],
            regions: vec![],
            tags: vec![],
        },
        chroot: ChrootSpec {
            device_path: None,
            mount_path: Late("/mnt/{{.Device}}".into()),
            mount_partition: None,
            mount_options: vec![],
            pre_mount_commands: vec![],
            post_mount_commands: vec![],
            chroot_mounts: None,
            copy_files: None,
            command_wrapper: Late("{{.Command}}".into()),
        },
        provisioners: vec![],
    };
    let region = Region::try_from("us-east-1".to_owned()).unwrap_or_else(|error| panic!("{error}"));
    let new = NewBuild {
        id: BuildId::from_parts(1, 2),
        spec,
        region,
        recipe: "web".into(),
        files: "/".into(),
        pace: Pace::AWS,
    };
    Build::new(new, Timestamp(0))
}

/// The first decision of a build: one phase change, one command.
#[divan::bench]
fn first_tick(bencher: divan::Bencher<'_, '_>) {
    let build = build();
    bencher
        .counter(divan::counter::ItemsCount::new(1usize))
        .bench(|| decide(divan::black_box(&build), Event::Tick, Timestamp(1)));
}

/// A tick that changes nothing, as most do.
#[divan::bench]
fn idle_tick(bencher: divan::Bencher<'_, '_>) {
    let Verdict::Advance { next, .. } = decide(&build(), Event::Tick, Timestamp(1)) else { return };
    bencher
        .counter(divan::counter::ItemsCount::new(1usize))
        .bench(|| decide(divan::black_box(&next), Event::Tick, Timestamp(2)));
}
