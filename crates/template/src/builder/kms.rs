//! The forms of a KMS key: an id, an alias, or the ARN of one.

/// What to write for a key.
pub(super) const HELP: &str =
    "Write a key's id, alias/NAME, or an ARN: arn:aws:kms:REGION:ACCOUNT:key/ID or …:alias/NAME";

/// Whether a text has the form of a key. It is Packer's rule, with all of AWS's partitions.
pub(super) fn is_key(text: &str) -> bool {
    match text.strip_prefix("arn:") {
        Some(arn) => is_arn(arn),
        None => is_id(text) || is_alias(text),
    }
}

fn is_arn(arn: &str) -> bool {
    let [partition, "kms", region, account, resource] = arn.splitn(5, ':').collect::<Vec<_>>()[..] else {
        return false;
    };
    let is_partition = partition == "aws"
        || partition.strip_prefix("aws-").is_some_and(|rest| {
            rest.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
        });
    let is_region = region.is_empty()
        || (region.split('-').count() >= 3
            && region.ends_with(|c: char| c.is_ascii_digit())
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let is_resource = resource.strip_prefix("key/").map_or_else(|| is_alias(resource), is_id);
    is_partition && is_region && is_account && is_resource
}

fn is_id(text: &str) -> bool {
    let id = text.strip_prefix("mrk-").unwrap_or(text);
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    id.len() >= 2 && id.bytes().next().is_some_and(is_digit) && id.bytes().all(|b| is_digit(b) || b == b'-')
}

fn is_alias(text: &str) -> bool {
    text.strip_prefix("alias/")
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_of_three_forms() {
        for key in [
            "ab",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            "alias/web_1:a/b-c",
            "arn:aws:kms:us-east-1:012345678910:key/abcd1234-a123-456a-a12b-a123b4cd56ef",
            "arn:aws:kms:us-east-1:012345678910:alias/foo/bar",
            "arn:aws-us-gov:kms:us-gov-east-1:012345678910:alias/foo",
            "arn:aws-iso-b:kms:us-isob-east-1:012345678910:alias/foo",
            "arn:aws:kms::012345678910:key/mrk-12345678-1234-abcd-0000-123456789012",
        ] {
            assert!(is_key(key), "{key}");
        }
        for key in [
            "",
            "a",
            "-ab",
            "ABCD",
            "foo/bar",
            "alias/",
            "alias/a b",
            "key/ab",
            "arn:aws:kms:us-east-1:1:key/ab",
            "arn:aws:kms:us-east-1:012345678910:ab",
            "arn:aws:s3:us-east-1:012345678910:key/ab",
            "arn:aws:kms:us:012345678910:key/ab",
            "arn:aws",
        ] {
            assert!(!is_key(key), "{key}");
        }
    }
}
