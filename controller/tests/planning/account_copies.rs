//! The plan of copies that other accounts own.

use bakehouse_machine::Fault;
use bakehouse_protocol::{
    BuildSpec, Region,
    spec::{AccountCopies, CopyRole},
};

use super::{World, away, home, text};

const OTHER: &str = "444455556666";

/// Copies for another account, by a role of it.
fn copies(regions: &[Region], kms_key_id: Option<&str>) -> AccountCopies {
    let arn = format!("arn:aws:iam::{OTHER}:role/images").parse().unwrap();
    let role = CopyRole { arn, external_id: Some("outside".to_owned()), session_name: None };
    AccountCopies { role, regions: regions.to_vec(), kms_key_id: kms_key_id.map(str::to_owned) }
}

#[test]
fn another_account_gets_a_copy_wherever_the_image_stays() {
    let plan = |change: fn(&mut BuildSpec)| {
        let plan = World::new().plan(|spec| {
            spec.image.regions = vec![away()];
            spec.image.tags = vec![(text("where"), text("{{.BuildRegion}}"))];
            spec.image.account_copies = vec![copies(&[], None)];
            change(spec);
        });
        let plan = plan.unwrap();
        let copies: Vec<String> = plan.copies.iter().map(ToString::to_string).collect();
        (plan, copies)
    };
    let (all, names) = plan(|_| {});
    assert_eq!(names, ["eu-west-1", "us-east-1 of account 444455556666", "eu-west-1 of account 444455556666"]);
    assert!(all.regions.iter().all(|(region, there)| there.tags["where"] == region.region.as_str()));
    let (_, names) = plan(|spec| spec.image.copying.skip_save_build_region = true);
    assert_eq!(names, ["eu-west-1", "eu-west-1 of account 444455556666"]);
    let (_, names) = plan(|spec| {
        spec.image.regions = vec![];
        spec.image.copying.skip_save_build_region = true;
        spec.image.account_copies = vec![copies(&[home()], None)];
    });
    assert_eq!(names, ["us-east-1 of account 444455556666"]);

    let message =
        World::new().refused(|spec| spec.image.account_copies = vec![copies(&[], None), copies(&[home()], None)]);
    assert_eq!(message, "two of `bakehouse_account_copies` are in us-east-1 of account 444455556666");
    let message = World::new().refused(|spec| {
        spec.image.copying.skip_save_build_region = true;
        spec.image.account_copies = vec![copies(&[], None)];
    });
    assert!(message.contains("no other region"), "{message}");
}

#[test]
fn a_copy_for_another_account_has_that_accounts_key() {
    type Change = fn(&mut BuildSpec);
    let there = |key: Option<&str>, change: Change| {
        let plan = World::with_key(key).plan(|spec| {
            spec.image.account_copies = vec![copies(&[], None)];
            change(spec);
        })?;
        let there = plan.regions[&plan.copies[0]].clone();
        Ok::<_, Fault>((there.encrypted, there.kms_key_id))
    };
    let ours = || Some("alias/ours".to_owned());
    let keyed: Change = |spec| spec.image.account_copies = vec![copies(&[], Some("alias/ours"))];
    let encrypt: Change = |spec| {
        spec.image.encryption.encrypt_boot = Some(true);
        spec.image.encryption.kms_key_id = Some("alias/ours".to_owned());
    };
    assert_eq!(there(None, |_| {}), Ok((None, None)));
    assert_eq!(there(None, keyed), Ok((Some(true), ours())));
    assert_eq!(there(None, encrypt), Ok((Some(true), None)), "that account's default key");
    assert_eq!(there(Some("alias/ours"), |_| {}), Ok((None, None)));

    let refused = |key: Option<&str>, change: Change| there(key, change).unwrap_err().message;
    let off: Change = |spec| spec.image.account_copies = vec![copies(&[], Some("alias/off"))];
    assert_eq!(refused(None, off), "the key alias/off is not enabled in us-east-1 of account 444455556666");
    // What the role is to copy must have a key that can be shared, wherever the image stays.
    let message = refused(Some("alias/aws/ebs"), |_| {});
    assert!(message.contains("`bakehouse_account_copies`") && message.contains("default key"), "{message}");
    let message = refused(None, |spec| {
        spec.image.encryption.encrypt_boot = Some(true);
        spec.image.regions = vec![away()];
        spec.image.copying.skip_save_build_region = true;
    });
    assert!(message.contains("us-east-1") && message.contains("default key"), "{message}");
}
