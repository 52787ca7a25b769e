//! A region of an account: where an image is.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::fmt;

use bakehouse_protocol::{InvalidId, Region, RoleArn};
use serde::{Deserialize, Serialize};

/// A region of the build's own account, or of the account of a role. As a string: the region, and the role's ARN after
/// a blank.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountRegion {
    /// The region.
    pub region: Region,
    /// The role that makes the calls there; `None`: the build's own account.
    pub role: Option<RoleArn>,
}

impl AccountRegion {
    /// Returns the region alone if it is one of the build's own account.
    pub fn own(&self) -> Option<&Region> {
        self.role.is_none().then_some(&self.region)
    }

    /// Returns a region for people, with the id of the account if it is not the build's own.
    pub fn describe(region: &str, account: Option<&str>) -> String {
        account.map_or_else(|| region.to_string(), |account| format!("{region} of account {account}"))
    }

    /// Returns the id of the account if it is not the build's own.
    pub fn account(&self) -> Option<&str> {
        self.role.as_ref().map(RoleArn::account)
    }
}

impl fmt::Display for AccountRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Self::describe(self.region.as_str(), self.account()))
    }
}

impl From<Region> for AccountRegion {
    fn from(region: Region) -> Self {
        Self { region, role: None }
    }
}

impl From<&Region> for AccountRegion {
    fn from(region: &Region) -> Self {
        region.clone().into()
    }
}

impl PartialEq<Region> for AccountRegion {
    /// Whether it is this region of the build's own account.
    fn eq(&self, region: &Region) -> bool {
        self.own() == Some(region)
    }
}

impl TryFrom<String> for AccountRegion {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        match text.split_once(' ') {
            None => Ok(Region::new(text)?.into()),
            Some((region, role)) => Ok(Self { region: Region::new(region)?, role: Some(RoleArn::new(role)?) }),
        }
    }
}

impl From<AccountRegion> for String {
    fn from(it: AccountRegion) -> Self {
        match it.role {
            None => it.region.into(),
            Some(role) => format!("{} {role}", it.region),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_a_string_and_read_from_that_of_old_records() {
        let own: AccountRegion = serde_json::from_str("\"us-east-1\"").unwrap();
        assert_eq!(own, AccountRegion::from(Region::new("us-east-1").unwrap()));
        assert_eq!((own.to_string().as_str(), own.account()), ("us-east-1", None));
        let text = "\"us-east-1 arn:aws:iam::444455556666:role/images\"";
        let other: AccountRegion = serde_json::from_str(text).unwrap();
        assert_eq!(other.to_string(), "us-east-1 of account 444455556666");
        assert_eq!(serde_json::to_string(&other).unwrap(), text);
        assert!(own == own.region && other != other.region);
        assert!(serde_json::from_str::<AccountRegion>("\"us-east-1 images\"").is_err());
    }
}
