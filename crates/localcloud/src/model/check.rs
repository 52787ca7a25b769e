//! EC2's rules for names, descriptions, client tokens and tags in requests.

use crate::{ApiError, resource::Tags};

/// The most tags of a resource, without reserved ones.
const MAX_TAGS: usize = 50;

/// Checks an image's name.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ()[]./-'@_".contains(c);
    if (3..=128).contains(&name.chars().count()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidAMIName.Malformed",
        "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', \
         ' ', '.', '/', '-', ''', '@' and '_'",
    ))
}

/// Checks a description's length.
pub(super) fn check_description(text: &str) -> Result<(), ApiError> {
    if text.chars().count() > 255 {
        return Err(ApiError::new("InvalidParameterValue", "Description may be at most 255 characters long."));
    }
    Ok(())
}

/// Checks a client token's form.
pub(super) fn check_token(token: Option<&String>) -> Result<(), ApiError> {
    match token {
        Some(token) if token.is_empty() || token.len() > 64 || !token.is_ascii() => Err(ApiError::new(
            "InvalidParameterValue",
            "Invalid value for ClientToken. Specify 1 to 64 ASCII characters.",
        )),
        _ => Ok(()),
    }
}

/// Checks the tags of a request.
pub(super) fn check_tags(tags: &Tags) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::new("InvalidParameterValue", message));
    for (key, value) in tags {
        if key.is_empty() {
            return invalid("Tag key cannot be null or empty.".to_owned());
        }
        // The prefix is reserved in upper and lower case.
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return invalid(format!("Tag keys starting with 'aws:' are reserved for internal use: '{key}'"));
        }
        if key.chars().count() > 128 {
            return invalid(format!("Tag key exceeds the maximum length of 128 characters: '{key}'"));
        }
        if value.chars().count() > 256 {
            return invalid(format!("Tag value exceeds the maximum length of 256 characters (key '{key}')"));
        }
    }
    check_tag_count(tags)
}

/// Checks how many tags there are.
pub(super) fn check_tag_count(tags: &Tags) -> Result<(), ApiError> {
    if tags.keys().filter(|key| !key.starts_with("aws:")).count() > MAX_TAGS {
        return Err(ApiError::new("TagLimitExceeded", format!("More than {MAX_TAGS} tags specified on a resource")));
    }
    Ok(())
}
