//! STS: who calls, and credentials for the calls of a role. A role is not looked up: any role of any account can be
//! assumed, and its account is known from the access key that is issued.

use bakehouse_ec2::ApiError;
use bakehouse_protocol::{Millis, RoleArn};

use crate::{
    http::{
        call::{Action, Call},
        params::invalid_value,
        xml::Xml,
    },
    timestamp::iso8601_seconds,
};

/// The version of STS's API.
pub(crate) const VERSION: &str = "2011-06-15";

pub(crate) const ACTIONS: &[(&str, Action)] =
    &[("AssumeRole", answer_assume_role), ("GetCallerIdentity", answer_get_caller_identity)];

/// The parameters of AssumeRole that have no effect here.
const WITHOUT_EFFECT: [&str; 5] = ["ExternalId", "Policy", "SerialNumber", "SourceIdentity", "TokenCode"];

/// Access keys of sessions begin like this; here the account follows.
const SESSION_KEY: &str = "ASIA";

/// Returns the account of the role that an access key was issued for; `None`: it is no session's.
pub(crate) fn account_of(access_key_id: &str) -> Option<&str> {
    let account = access_key_id.strip_prefix(SESSION_KEY)?.get(..12)?;
    account.bytes().all(|b| b.is_ascii_digit()).then_some(account)
}

fn answer_assume_role(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    let (role, session, duration) = call.read(|node| {
        for name in WITHOUT_EFFECT {
            node.text(name);
        }
        for list in ["PolicyArns", "Tags", "TransitiveTagKeys"] {
            for element in node.node(list).nodes("member") {
                element.text("arn");
                element.text("Key");
                element.text("Value");
            }
            node.node(list).texts("member");
        }
        let arn = node.required("RoleArn")?;
        let role = RoleArn::new(arn).map_err(|_| invalid_value("RoleArn", arn))?;
        let session = node.required("RoleSessionName")?.to_owned();
        Ok((role, session, node.value::<u64>("DurationSeconds")?.unwrap_or(3600)))
    })?;
    let (account, name) = (role.account(), role.as_str().rsplit('/').next().unwrap_or_default());
    xml.element("Credentials", |xml| {
        xml.text("AccessKeyId", &format!("{SESSION_KEY}{account}ROLE"));
        xml.text("SecretAccessKey", "not-checked");
        xml.text("SessionToken", "not-checked");
        xml.text("Expiration", &iso8601_seconds(call.now + Millis::seconds(duration)));
    });
    xml.element("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", &format!("AROA{account}ROLE:{session}"));
        xml.text("Arn", &format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"));
    });
    Ok(())
}

fn answer_get_caller_identity(call: &Call<'_>, xml: &mut Xml) -> Result<(), ApiError> {
    call.read(|_| Ok(()))?;
    xml.text("Arn", &format!("arn:aws:iam::{}:user/{}", call.account, call.access_key_id));
    xml.text("UserId", call.access_key_id);
    xml.text("Account", call.account);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::account_of;

    #[test]
    fn the_key_of_a_session_says_whose_role_it_is() {
        assert_eq!(account_of("ASIA444455556666ROLE"), Some("444455556666"));
        assert_eq!(account_of("ASIAQWERTZUIOPASDFGH"), None);
        assert_eq!(account_of("AKIA444455556666ROLE"), None);
        assert_eq!(account_of("ASIA4444"), None);
    }
}
