use super::*;
use crate::{
    model::{Import, filter::matches_pattern},
    request::{DescribeInstances, Filter},
};

fn images(fixture: &Fixture, request: DescribeImages) -> Vec<String> {
    let found = fixture.model.describe_images(fixture.now, &fixture.region, &request).unwrap();
    let mut names: Vec<String> = found.into_iter().map(|it| it.name).collect();
    names.sort();
    names
}

fn by(filters: &[(&str, &str)]) -> DescribeImages {
    let filters = filters.iter().map(|(name, value)| Filter::one(*name, *value)).collect();
    DescribeImages { filters, ..DescribeImages::default() }
}

fn catalogue() -> Fixture {
    let mut fixture = Fixture::quick();
    let here = fixture.region.clone();
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
        fixture.model.import_image(fixture.now, &here, &import).unwrap();
        fixture.pass(Millis::seconds(1));
    }
    let own = Import { tags: tags(&[("Team", "web")]), ..Import::new("own", 9, Architecture::X86_64) };
    fixture.model.import_image(fixture.now, &here, &own).unwrap();
    fixture
}

#[test]
fn images_are_found_by_filters() {
    let fixture = catalogue();
    let find = |filters: &[(&str, &str)]| images(&fixture, by(filters));
    assert_eq!(find(&[]).len(), 4, "deprecated images of others are not shown");
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
    assert_eq!(images(&fixture, either), ["al2023-x86_64", "own"]);
}

#[test]
fn images_are_found_by_owner() {
    let fixture = catalogue();
    let owned = |owner: &str, include_deprecated| {
        images(&fixture, DescribeImages { owners: vec![owner.to_owned()], include_deprecated, ..Default::default() })
    };
    assert_eq!(owned("self", false), ["own"]);
    assert_eq!(owned("amazon", false), ["al2023-x86_64"]);
    assert_eq!(owned("136693071363", false).len(), 2);
    assert_eq!(owned("136693071363", true).len(), 3);
}

#[test]
fn an_unknown_filter_is_an_error_even_without_resources() {
    let fixture = Fixture::quick();
    let filters = vec![Filter::one("nmae", "x")];
    let result = fixture.model.describe_images(fixture.now, &fixture.region, &by(&[("nmae", "x")]));
    assert_eq!(result.unwrap_err().to_string(), "InvalidParameterValue: The filter 'nmae' is invalid");
    let request = DescribeVolumes { filters: filters.clone(), ..Default::default() };
    assert_eq!(code(fixture.model.describe_volumes(fixture.now, &fixture.region, &request)), "InvalidParameterValue");
    let request = DescribeSnapshots { filters: filters.clone(), ..Default::default() };
    assert_eq!(code(fixture.model.describe_snapshots(fixture.now, &fixture.region, &request)), "InvalidParameterValue");
    let request = DescribeInstances { filters, ..Default::default() };
    assert_eq!(code(fixture.model.describe_instances(fixture.now, &fixture.region, &request)), "InvalidParameterValue");
}

#[test]
fn volumes_and_snapshots_are_found_by_tag_and_state() {
    let mut fixture = Fixture::quick();
    let request = CreateVolume { tags: tags(&[("build", "b-1")]), ..fixture.empty() };
    let tagged = fixture.create(&request).unwrap().volume_id;
    fixture.volume();
    fixture.attach(&tagged, "/dev/sdf").unwrap();
    let find = |filters: &[(&str, &str)]| {
        let filters = filters.iter().map(|(name, value)| Filter::one(*name, *value)).collect();
        let request = DescribeVolumes { volume_ids: Vec::new(), filters };
        fixture.model.describe_volumes(fixture.now, &fixture.region, &request).unwrap().len()
    };
    assert_eq!(find(&[]), 2);
    assert_eq!(find(&[("tag:build", "b-1")]), 1);
    assert_eq!(find(&[("tag:build", "b-2")]), 0);
    assert_eq!(find(&[("status", "available")]), 1);
    assert_eq!(find(&[("attachment.instance-id", fixture.instance.as_str())]), 1);
    let id = fixture.snapshot_of(&tagged).unwrap().snapshot_id;
    let request = DescribeSnapshots {
        owner_ids: vec!["self".to_owned()],
        filters: vec![Filter::one("volume-id", tagged.as_str()), Filter::one("status", "completed")],
        ..Default::default()
    };
    let found = fixture.model.describe_snapshots(fixture.now, &fixture.region, &request).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].snapshot_id, id);
}

#[test]
fn a_new_resource_is_not_shown_for_a_while() {
    let mut fixture = Fixture::new(Delays { consistency_lag: Millis(100), ..Delays::default() });
    let volume = fixture.volume();
    assert_eq!(code(fixture.describe_volume(&volume)), "InvalidVolume.NotFound");
    let image = fixture.image("image");
    let here = fixture.region.clone();
    assert_eq!(code(fixture.describe_image(&here, &image)), "InvalidAMIID.NotFound");
    fixture.pass(Millis(100));
    fixture.describe_volume(&volume).unwrap();
    fixture.describe_image(&here, &image).unwrap();
}

#[test]
fn a_missing_instance_is_an_error() {
    let fixture = Fixture::quick();
    let instance_ids = vec![InstanceId::new("i-01234567").unwrap()];
    let request = DescribeInstances { instance_ids, filters: Vec::new() };
    let result = fixture.model.describe_instances(fixture.now, &fixture.region, &request);
    assert_eq!(code(result), "InvalidInstanceID.NotFound");
}

#[test]
fn patterns_match_as_in_ec2() {
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
        assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
    }
}
