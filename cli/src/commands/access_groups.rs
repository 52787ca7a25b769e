//! Groups the builds of killed runs by their access to AWS. Each must be undone with the credentials and the endpoint
//! of its own run: with others its resources would not be found and would count as removed.

use std::{collections::BTreeMap, path::Path};

use bakehouse_machine::Build;
use bakehouse_protocol::access::{Access, PersistedAccess};

/// Builds with the same access.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    pub(super) access: Access,
    pub(super) builds: Vec<Build>,
}

/// The parts of the environment's keys by which they are compared.
#[derive(Debug)]
pub(super) struct EnvironmentKeys {
    access_key: String,
    temporary: bool,
}

impl EnvironmentKeys {
    /// Returns the keys that the SDK uses first, if both parts are set.
    pub(super) fn find(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        value("AWS_SECRET_ACCESS_KEY")?;
        Some(Self { access_key: value("AWS_ACCESS_KEY_ID")?, temporary: value("AWS_SESSION_TOKEN").is_some() })
    }
}

/// Returns the builds grouped by their access, and a message for each that can't be undone, as keys are not saved.
/// Those of the present templates (`known`) and of the environment (`environment_keys`) are used if they match.
pub(super) fn groups(
    left: Vec<(Build, PersistedAccess)>,
    known: &[Access],
    own: Option<&EnvironmentKeys>,
) -> (Vec<Group>, Vec<String>) {
    let mut by_access: BTreeMap<PersistedAccess, Vec<Build>> = BTreeMap::new();
    for (build, kept) in left {
        by_access.entry(kept).or_default().push(build);
    }
    let (mut groups, mut out_of_reach) = (Vec::new(), Vec::new());
    for (kept, builds) in by_access {
        match access(&kept, known, own) {
            Some(access) => groups.push(Group { access, builds }),
            None => out_of_reach.extend(builds.iter().map(|build| missing_secret(build, &kept))),
        }
    }
    (groups, out_of_reach)
}

fn access(kept: &PersistedAccess, known: &[Access], own: Option<&EnvironmentKeys>) -> Option<Access> {
    if let Some(same) = known.iter().find(|access| kept.matches(access)) {
        return Some(same.clone());
    }
    let is_at_hand = match &kept.keys {
        Some(keys) => own.is_some_and(|own| keys.may_match(&own.access_key, own.temporary)),
        None => true,
    };
    (is_at_hand && !kept.lacks_external_id()).then(|| kept.access())
}

fn missing_secret(build: &Build, kept: &PersistedAccess) -> String {
    let (what, own) = match &kept.keys {
        Some(keys) if keys.temporary => (
            format!("the temporary keys of {} are not kept", build.recipe),
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN to such keys of the same account",
        ),
        Some(keys) => (
            format!("the keys of {}, whose `access_key` ends in {:?}, are not kept", build.recipe, keys.ends),
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to them",
        ),
        None => (format!("the `external_id` of {} is not kept", build.recipe), ""),
    };
    let or = if kept.lacks_external_id() { String::new() } else { format!(", or set {own} and `sweep --yes`") };
    format!("build {} can't be undone, as {what}: build the same template again{or}", build.id)
}

/// Returns the access with an absolute path.
pub(super) fn absolute(access: Access, directory: &Path) -> Access {
    let file = access.shared_credentials_file.map(|file| {
        // The SDK expands it.
        if file.starts_with('~') { file } else { directory.join(file).to_string_lossy().into_owned() }
    });
    Access { shared_credentials_file: file, ..access }
}

#[cfg(test)]
mod tests {
    use bakehouse_protocol::{
        BuildId,
        access::{AssumeRole, Keys, Secret},
    };

    use super::*;
    use crate::printer::tests::a_build;

    fn build(n: u32) -> Build {
        Build { id: BuildId::from_parts(1, n), ..a_build() }
    }

    fn keys(access_key: &str, token: Option<&str>) -> Access {
        let keys =
            Keys { access_key: access_key.into(), secret_key: Secret::new("wJalr"), token: token.map(Secret::new) };
        Access { keys: Some(keys), custom_endpoint_ec2: Some("http://localhost:1".into()), ..Access::default() }
    }

    fn profile(name: &str) -> Access {
        Access { profile: Some(name.into()), ..Access::default() }
    }

    fn group(access: Access, builds: &[u32]) -> Group {
        Group { access, builds: builds.iter().map(|n| build(*n)).collect() }
    }

    fn own(access_key: &str, token: &str) -> Option<EnvironmentKeys> {
        EnvironmentKeys::find(|name| {
            let value = match name {
                "AWS_ACCESS_KEY_ID" => access_key,
                "AWS_SECRET_ACCESS_KEY" => "wJalr",
                "AWS_SESSION_TOKEN" => token,
                _ => return None,
            };
            Some(value.to_owned())
        })
    }

    #[test]
    fn each_build_is_reached_as_it_was_made() {
        let left = vec![
            (build(1), profile("one").persisted()),
            (build(2), PersistedAccess::default()),
            (build(3), profile("two").persisted()),
            (build(4), profile("one").persisted()),
        ];
        // What is at hand for another template changes nothing.
        let (groups, out_of_reach) = groups(left, &[keys("AKIDEXAMPLE1", None)], own("AKIDEXAMPLE1", "").as_ref());
        assert_eq!(
            groups,
            [group(Access::default(), &[2]), group(profile("one"), &[1, 4]), group(profile("two"), &[3])]
        );
        assert_eq!(out_of_reach, [""; 0]);
    }

    #[test]
    fn keys_are_those_of_the_template_or_of_the_environment_if_they_are_the_same() {
        let made_with = keys("AKIDEXAMPLE1", None);
        let left = || vec![(build(1), made_with.persisted())];
        let (found, _) = groups(left(), &[profile("one"), made_with.clone()], None);
        assert_eq!(found, [group(made_with.clone(), &[1])]);
        // The environment's are found by the SDK; what else the template says is kept.
        let (found, _) = groups(left(), &[], own("AKIDEXAMPLE1", "").as_ref());
        assert_eq!(found, [group(Access { keys: None, ..made_with.clone() }, &[1])]);
        for (known, own) in [(vec![], None), (vec![keys("AKIDEXAMPLE2", None)], own("AKIDEXAMPLE2", ""))] {
            let (found, out_of_reach) = groups(left(), &known, own.as_ref());
            assert_eq!(found, []);
            assert_eq!(
                out_of_reach,
                [
                    "build b-00000001-00000001 can't be undone, as the keys of web.json, whose `access_key` ends in \"PLE1\", \
                  are not kept: build the same template again, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to them \
                  and `sweep --yes`"
                ]
            );
        }
    }

    #[test]
    fn temporary_keys_are_others_each_time() {
        let left = || vec![(build(1), keys("ASIAEXAMPLE1", Some("t")).persisted())];
        assert_eq!(groups(left(), &[], own("ASIAEXAMPLE2", "t").as_ref()).0.len(), 1);
        let (found, out_of_reach) = groups(left(), &[], own("AKIDEXAMPLE1", "").as_ref());
        assert_eq!(found, []);
        assert!(out_of_reach[0].contains("AWS_SESSION_TOKEN to such keys of the same account"), "{out_of_reach:?}");
    }

    #[test]
    fn an_external_id_is_the_templates_alone() {
        let role = AssumeRole { external_id: Some(Secret::new("outside")), ..AssumeRole::default() };
        let made_with = Access { assume_role: Some(role), ..Access::default() };
        let left = || vec![(build(1), made_with.persisted())];
        let (found, out_of_reach) = groups(left(), &[], own("AKIDEXAMPLE1", "").as_ref());
        assert_eq!(found, []);
        assert_eq!(
            out_of_reach,
            [
                "build b-00000001-00000001 can't be undone, as the `external_id` of web.json is not kept: build the same \
              template again"
            ]
        );
        assert_eq!(groups(left(), std::slice::from_ref(&made_with), None).0, [group(made_with.clone(), &[1])]);
    }

    #[test]
    fn a_file_is_the_same_from_everywhere() {
        let at = |file: &str| {
            let access = Access { shared_credentials_file: Some(file.into()), ..Access::default() };
            absolute(access, Path::new("/home/mo")).shared_credentials_file.unwrap()
        };
        assert_eq!([at("aws"), at("/etc/aws"), at("~/aws")], ["/home/mo/aws", "/etc/aws", "~/aws"]);
    }
}
