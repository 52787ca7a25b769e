//! Properties for any text and any number of resources.

use bakehouse_localcloud::http::Params;
use proptest::prelude::*;

use crate::client::Fixture;

/// Text, escaped for a body.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Text, unescaped from XML.
fn read(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&#xD;", "\r"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_returned_unchanged(key in "[a-zA-Z][^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\u{fffe}\\u{ffff}]{0,40}",
                                      value in "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\u{fffe}\\u{ffff}]{0,80}") {
        prop_assume!(!key.to_ascii_lowercase().starts_with("aws:"));
        let fixture = Fixture::new();
        let tag = format!(
            "AvailabilityZone=us-east-1a&Size=1&TagSpecification.1.ResourceType=volume&\
             TagSpecification.1.Tag.1.Key={}&TagSpecification.1.Tag.1.Value={}",
            escaped(&key), escaped(&value)
        );
        let made = fixture.call("CreateVolume", &tag).ok();
        prop_assert_eq!((read(made.text("key")), read(made.text("value"))), (key, value));
    }

    #[test]
    fn pages_have_each_resource_once(count in 0_usize..40, size in 5_usize..12) {
        let fixture = Fixture::new();
        for _ in 0..count {
            fixture.call("CreateVolume", "AvailabilityZone=us-east-1a&Size=1").ok();
        }
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = fixture.call("DescribeVolumes", &format!("MaxResults={size}&NextToken={token}")).ok();
            let ids = page.texts("volumeId");
            prop_assert!(ids.len() <= size);
            seen.extend(ids.into_iter().map(ToOwned::to_owned));
            match page.texts("nextToken").first() {
                Some(next) => token = (*next).to_owned(),
                None => break,
            }
        }
        prop_assert_eq!(seen.len(), count);
        seen.dedup();
        prop_assert_eq!(seen.len(), count);
    }

    #[test]
    fn lists_are_read_in_the_order_of_their_numbers(values in proptest::collection::vec("[a-z]{1,5}", 0..30)) {
        let written: Vec<String> =
            values.iter().enumerate().rev().map(|(n, value)| format!("Owner.{}={value}", n + 1)).collect();
        let params = Params::parse(&[written.join("&").as_bytes()]).unwrap();
        prop_assert_eq!(params.root().texts("Owner"), values);
        prop_assert!(params.reject_unread().is_ok());
    }

    #[test]
    fn any_parameters_are_answered(
        action in prop::sample::select(bakehouse_localcloud::http::names().collect::<Vec<_>>()),
        parameters in proptest::collection::vec(("[A-Za-z.0-9]{1,20}", "[ -~]{0,20}"), 0..5),
    ) {
        let fixture = Fixture::new();
        let written: Vec<String> = parameters.iter().map(|(k, v)| format!("{}={}", escaped(k), escaped(v))).collect();
        let answer = fixture.call(action, &written.join("&"));
        prop_assert!(matches!(answer.status, 200 | 400), "{} {}", answer.status, answer.body);
        prop_assert!(answer.body.starts_with("<?xml"), "{}", answer.body);
    }
}
