//! Regions, zones, tags, accounts.

use bakehouse_protocol::Region;

use crate::http::xml::Xml;

pub(crate) fn region(xml: &mut Xml, it: &Region) {
    xml.value("regionName", it);
    xml.text("regionEndpoint", &format!("ec2.{it}.amazonaws.com"));
    xml.text("optInStatus", "opt-in-not-required");
}

/// The zones of a region that are listed. Volumes can be created in three more.
pub(crate) const ZONES: [char; 3] = ['a', 'b', 'c'];

/// The id of a zone, as `use1-az1`: the shortened name of the region and a number.
pub(crate) fn zone_id(region: &Region, letter: char) -> String {
    let mut parts = region.as_str().split('-');
    let mut id = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // north, northeast, central, 1
        let (first, second) = ["north", "south"]
            .into_iter()
            .find_map(|half| Some((half, part.strip_prefix(half)?)))
            .unwrap_or((part, ""));
        id.extend(first.chars().next());
        id.extend(second.chars().next());
    }
    let number = u32::from(letter) - u32::from('a') + 1;
    format!("{id}-az{number}")
}

pub(crate) fn zone(xml: &mut Xml, region: &Region, letter: char) {
    xml.text("zoneState", "available");
    xml.text("optInStatus", "opt-in-not-required");
    xml.list("messageSet", std::iter::empty::<()>(), |_, ()| {});
    xml.value("regionName", region);
    xml.text("zoneName", &format!("{region}{letter}"));
    xml.text("zoneId", &zone_id(region, letter));
    xml.value("groupName", region);
    xml.value("networkBorderGroup", region);
    xml.text("zoneType", "availability-zone");
}

/// One row of DescribeTags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagRow {
    pub(crate) resource_id: String,
    pub(crate) resource_type: &'static str,
    pub(crate) key: String,
    pub(crate) value: String,
}

pub(crate) fn tag(xml: &mut Xml, it: &TagRow) {
    xml.text("resourceId", &it.resource_id);
    xml.text("resourceType", it.resource_type);
    xml.text("key", &it.key);
    xml.text("value", &it.value);
}

pub(crate) fn account_attribute(xml: &mut Xml, (name, values): (&str, &[&str])) {
    xml.text("attributeName", name);
    xml.list("attributeValueSet", values, |xml, value| xml.text("attributeValue", value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_are_shortened_as_by_aws() {
        let of = |region: &str| zone_id(&Region::new(region).unwrap(), 'b');
        assert_eq!(of("us-east-1"), "use1-az2");
        assert_eq!(of("ap-southeast-2"), "apse2-az2");
        assert_eq!(of("ap-northeast-1"), "apne1-az2");
        assert_eq!(of("eu-central-1"), "euc1-az2");
        assert_eq!(of("af-south-1"), "afs1-az2");
    }
}
