//! Elements that several answers have.

use bakehouse_ec2::resource::{Permissions, Tags};

use crate::http::xml::Xml;

pub(super) fn tags(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

pub(super) fn permissions(xml: &mut Xml, name: &str, permissions: &Permissions) {
    let groups = permissions.groups.iter().map(|group| ("group", group));
    let users = permissions.users.iter().map(|user| ("userId", user));
    let organizations = permissions.organizations.iter().map(|arn| ("organizationArn", arn));
    let units = permissions.organizational_units.iter().map(|arn| ("organizationalUnitArn", arn));
    xml.list(name, groups.chain(users).chain(organizations).chain(units), |xml, (kind, who)| xml.text(kind, who));
}

/// `<nextToken>` if there is another page.
pub(crate) fn next(xml: &mut Xml, token: Option<String>) {
    xml.optional("nextToken", token);
}

/// The answer of calls that return nothing.
pub(crate) fn done(xml: &mut Xml) {
    xml.text("return", "true");
}
