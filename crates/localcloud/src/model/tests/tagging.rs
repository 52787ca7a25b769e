use super::*;
use crate::request::CreateTags;

fn tag(fixture: &mut Fixture, resources: &[&str], new: Tags) -> Result<(), ApiError> {
    let request = CreateTags { resources: resources.iter().map(|it| (*it).to_owned()).collect(), tags: new };
    fixture.model.create_tags(fixture.now, &fixture.region, &request)
}

#[test]
fn tags_are_set_on_all_resources_or_on_none() {
    let mut fixture = Fixture::quick();
    let here = fixture.region.clone();
    let image = fixture.image("image");
    let snapshot = fixture.describe_image(&here, &image).unwrap().root_snapshot().unwrap().clone();
    let volume = fixture.volume();
    let instance = fixture.instance.to_string();
    let all = [image.as_str(), snapshot.as_str(), volume.as_str(), instance.as_str()];
    tag(&mut fixture, &all, tags(&[("a", "1"), ("b", "2")])).unwrap();
    tag(&mut fixture, &all, tags(&[("b", "3")])).unwrap();
    let expected = tags(&[("a", "1"), ("b", "3")]);
    assert_eq!(fixture.describe_image(&here, &image).unwrap().tags, expected);
    assert_eq!(fixture.describe_snapshot(&snapshot).unwrap().tags, expected);
    assert_eq!(fixture.describe_volume(&volume).unwrap().tags, expected);
    for (missing, expected_code) in [
        ("vol-01234567", "InvalidVolume.NotFound"),
        ("snap-01234567", "InvalidSnapshot.NotFound"),
        ("ami-01234567", "InvalidAMIID.NotFound"),
        ("i-01234567", "InvalidInstanceID.NotFound"),
        ("x-1", "InvalidID"),
    ] {
        let result = tag(&mut fixture, &[volume.as_str(), missing], tags(&[("c", "4")]));
        assert_eq!(code(result), expected_code);
    }
    assert_eq!(fixture.describe_volume(&volume).unwrap().tags, expected);
}

#[test]
fn tags_are_limited_in_create_calls_too() {
    let mut fixture = Fixture::quick();
    let volume = fixture.volume();
    let many = |range: std::ops::Range<u32>| range.map(|n| (n.to_string(), String::new())).collect::<Tags>();
    tag(&mut fixture, &[volume.as_str()], many(0..50)).unwrap();
    assert_eq!(code(tag(&mut fixture, &[volume.as_str()], many(50..51))), "TagLimitExceeded");
    tag(&mut fixture, &[volume.as_str()], many(49..50)).unwrap();
    for refused in [tags(&[("aws:x", "")]), tags(&[("AWS:x", "")]), tags(&[("", "")])] {
        let request = CreateVolume { tags: refused, ..fixture.empty() };
        assert_eq!(code(fixture.create(&request)), "InvalidParameterValue");
    }
    let long = CreateVolume { tags: tags(&[(&"k".repeat(129), "")]), ..fixture.empty() };
    assert_eq!(code(fixture.create(&long)), "InvalidParameterValue");
    let long = CreateVolume { tags: tags(&[("k", &"v".repeat(257))]), ..fixture.empty() };
    assert_eq!(code(fixture.create(&long)), "InvalidParameterValue");
    let request = CreateVolume { tags: many(0..51), ..fixture.empty() };
    assert_eq!(code(fixture.create(&request)), "TagLimitExceeded");
}
