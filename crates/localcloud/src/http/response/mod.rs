//! From resources to EC2's XML. Element names and their order are those of the service model (2016-11-15).

pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod network;
pub(crate) mod snapshot;
pub(crate) mod volume;

use bakehouse_ec2::resource::{Permissions, Tags};
use bakehouse_protocol::Timestamp;

use crate::http::xml::Xml;

/// A moment as EC2 writes it: `2026-01-01T00:00:00.000Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => format!("{at:.3}"),
        // Past the year 9999.
        Err(_) => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

fn tags(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

fn permissions(xml: &mut Xml, name: &str, permissions: &Permissions) {
    let groups = permissions.groups.iter().map(|group| ("group", group));
    let users = permissions.users.iter().map(|user| ("userId", user));
    xml.list(name, groups.chain(users), |xml, (kind, who)| xml.text(kind, who));
}

/// `<nextToken>` if there is another page.
pub(crate) fn next(xml: &mut Xml, token: Option<String>) {
    xml.maybe("nextToken", token);
}

/// What calls without an answer of their own say.
pub(crate) fn done(xml: &mut Xml) {
    xml.text("return", "true");
}
