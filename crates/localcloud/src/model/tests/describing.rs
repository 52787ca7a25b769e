use super::*;
use crate::{
    model::{Import, filter::wild},
    request::{DescribeInstances, Filter},
};

fn images(world: &World, request: DescribeImages) -> Vec<String> {
    let found = world.model.describe_images(world.now, &world.region, &request).unwrap();
    let mut names: Vec<String> = found.into_iter().map(|it| it.name).collect();
    names.sort();
    names
}

fn by(filters: &[(&str, &str)]) -> DescribeImages {
    let filters = filters.iter().map(|(name, value)| Filter::one(*name, *value)).collect();
    DescribeImages { filters, ..DescribeImages::default() }
}

fn catalogue() -> World {
    let mut world = World::quick();
    let here = world.region.clone();
    let deprecated = Some(Timestamp(1));
    for (name, owner, alias, architecture, deprecation_time) in [
        ("debian-13-amd64-1", "136693071363", None, Architecture::X86_64, None),
        ("debian-13-arm64-1", "136693071363", None, Architecture::Arm64, None),
        ("al2023-x86_64", "137112412989", Some("amazon"), Architecture::X86_64, None),
        ("debian-12-amd64-1", "136693071363", None, Architecture::X86_64, deprecated),
    ] {
        let import = Import {
            owner: Some(owner.to_owned()),
            owner_alias: alias.map(str::to_owned),
            deprecation_time,
            description: format!("about {name}"),
            ..Import::new(name, 8, architecture)
        };
        world.model.import_image(world.now, &here, &import).unwrap();
        world.pass(Millis::seconds(1));
    }
    let own = Import { tags: tags(&[("Team", "web")]), ..Import::new("own", 9, Architecture::X86_64) };
    world.model.import_image(world.now, &here, &own).unwrap();
    world
}

#[test]
fn images_are_found_by_what_is_said_of_them() {
    let world = catalogue();
    let find = |filters: &[(&str, &str)]| images(&world, by(filters));
    assert_eq!(find(&[]).len(), 4, "the deprecated one of others is left out");
    assert_eq!(find(&[("name", "debian-13-*")]).len(), 2);
    assert_eq!(find(&[("name", "debian-13-*"), ("architecture", "arm64")]), ["debian-13-arm64-1"]);
    assert_eq!(find(&[("owner-alias", "amazon")]), ["al2023-x86_64"]);
    assert_eq!(find(&[("tag:Team", "w?b")]), ["own"]);
    assert_eq!(find(&[("tag-key", "Team")]), ["own"]);
    assert_eq!(find(&[("is-public", "false")]), ["own"]);
    assert_eq!(find(&[("description", "about al*")]), ["al2023-x86_64"]);
    assert_eq!(find(&[("creation-date", "2027-01-15T08:00:01*")]), ["debian-13-arm64-1"]);
    assert_eq!(find(&[("virtualization-type", "hvm"), ("root-device-type", "ebs"), ("state", "available")]).len(), 4);
    assert_eq!(find(&[("block-device-mapping.volume-size", "9")]), ["own"]);
    assert_eq!(find(&[("virtualization-type", "paravirtual")]), [""; 0]);
    let either = DescribeImages {
        filters: vec![Filter { name: "name".to_owned(), values: vec!["own".to_owned(), "al*".to_owned()] }],
        ..Default::default()
    };
    assert_eq!(images(&world, either), ["al2023-x86_64", "own"]);
}

#[test]
fn images_are_found_by_owner() {
    let world = catalogue();
    let owned = |owner: &str, include_deprecated| {
        images(&world, DescribeImages { owners: vec![owner.to_owned()], include_deprecated, ..Default::default() })
    };
    assert_eq!(owned("self", false), ["own"]);
    assert_eq!(owned("amazon", false), ["al2023-x86_64"]);
    assert_eq!(owned("136693071363", false).len(), 2);
    assert_eq!(owned("136693071363", true).len(), 3);
}

#[test]
fn an_unknown_filter_is_an_error_even_where_there_is_nothing() {
    let world = World::quick();
    let filters = vec![Filter::one("nmae", "x")];
    let result = world.model.describe_images(world.now, &world.region, &by(&[("nmae", "x")]));
    assert_eq!(result.unwrap_err().to_string(), "InvalidParameterValue: The filter 'nmae' is invalid");
    let request = DescribeVolumes { filters: filters.clone(), ..Default::default() };
    assert_eq!(code(world.model.describe_volumes(world.now, &world.region, &request)), "InvalidParameterValue");
    let request = DescribeSnapshots { filters: filters.clone(), ..Default::default() };
    assert_eq!(code(world.model.describe_snapshots(world.now, &world.region, &request)), "InvalidParameterValue");
    let request = DescribeInstances { filters, ..Default::default() };
    assert_eq!(code(world.model.describe_instances(world.now, &world.region, &request)), "InvalidParameterValue");
}

#[test]
fn volumes_and_snapshots_are_found_by_tag_and_state() {
    let mut world = World::quick();
    let request = CreateVolume { tags: tags(&[("build", "b-1")]), ..world.empty() };
    let tagged = world.create(&request).unwrap().volume_id;
    world.volume();
    world.attach(&tagged, "/dev/sdf").unwrap();
    let find = |filters: &[(&str, &str)]| {
        let filters = filters.iter().map(|(name, value)| Filter::one(*name, *value)).collect();
        let request = DescribeVolumes { volume_ids: Vec::new(), filters };
        world.model.describe_volumes(world.now, &world.region, &request).unwrap().len()
    };
    assert_eq!(find(&[]), 2);
    assert_eq!(find(&[("tag:build", "b-1")]), 1);
    assert_eq!(find(&[("tag:build", "b-2")]), 0);
    assert_eq!(find(&[("status", "available")]), 1);
    assert_eq!(find(&[("attachment.instance-id", world.instance.as_str())]), 1);
    let id = world.snapshot_of(&tagged).unwrap().snapshot_id;
    let request = DescribeSnapshots {
        owner_ids: vec!["self".to_owned()],
        filters: vec![Filter::one("volume-id", tagged.as_str()), Filter::one("status", "completed")],
        ..Default::default()
    };
    let found = world.model.describe_snapshots(world.now, &world.region, &request).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].snapshot_id, id);
}

#[test]
fn a_fresh_resource_is_not_known_for_a_while() {
    let mut world = World::new(Delays { consistency_lag: Millis(100), ..Delays::default() });
    let volume = world.volume();
    assert_eq!(code(world.describe_volume(&volume)), "InvalidVolume.NotFound");
    let image = world.image("image");
    let here = world.region.clone();
    assert_eq!(code(world.describe_image(&here, &image)), "InvalidAMIID.NotFound");
    world.pass(Millis(100));
    world.describe_volume(&volume).unwrap();
    world.describe_image(&here, &image).unwrap();
}

#[test]
fn an_instance_that_is_not_there_is_an_error() {
    let world = World::quick();
    let instance_ids = vec![InstanceId::new("i-01234567").unwrap()];
    let request = DescribeInstances { instance_ids, filters: Vec::new() };
    let result = world.model.describe_instances(world.now, &world.region, &request);
    assert_eq!(code(result), "InvalidInstanceID.NotFound");
}

#[test]
fn wildcards_stand_for_what_ec2_says() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abbd", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*ab", "aab", true),
        ("a\\*c", "a*c", true),
        ("a\\*c", "abc", false),
        ("Abc", "abc", false),
        ("größ?", "größe", true),
    ] {
        assert_eq!(wild(pattern, text), expected, "{pattern} {text}");
    }
}
