//! Converts between the SDK's types (texts and open enums) and ours (ids and states). An unknown value is an error that
//! names it.

use aws_sdk_ec2::{
    primitives::{DateTime, DateTimeFormat},
    types,
};
use bakehouse_ec2::{ApiError, request::Filter, resource::Tags};
use bakehouse_protocol::Timestamp;
use serde::{
    Deserialize,
    de::{IntoDeserializer, value},
};

fn unexpected(what: &str, text: &str) -> ApiError {
    ApiError::new(ApiError::NOT_UNDERSTOOD, format!("EC2 returned {what} \"{text}\", which is not known here"))
}

/// Returns a field that EC2 always sends.
pub(crate) fn required<T>(value: Option<T>, what: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::new(ApiError::NOT_UNDERSTOOD, format!("EC2's response lacks {what}")))
}

/// Returns one of our enums, whose serialized forms are EC2's names.
pub(crate) fn variant<T: for<'de> Deserialize<'de>>(what: &str, text: &str) -> Result<T, ApiError> {
    let variant: Result<T, value::Error> = T::deserialize(text.into_deserializer());
    variant.map_err(|_| unexpected(what, text))
}

/// Parses an id, or another text with a format.
pub(crate) fn id<T: TryFrom<String>>(what: &str, text: Option<String>) -> Result<T, ApiError> {
    let text = required(text, what)?;
    T::try_from(text.clone()).map_err(|_| unexpected(what, &text))
}

/// Parses an id that may be absent or empty.
pub(crate) fn optional_id<T: TryFrom<String>>(what: &str, text: Option<String>) -> Result<Option<T>, ApiError> {
    text.filter(|text| !text.is_empty()).map(|text| id(what, Some(text))).transpose()
}

/// Converts a count, which is never negative.
pub(crate) fn count(what: &str, number: i32) -> Result<u32, ApiError> {
    u32::try_from(number).map_err(|_| unexpected(what, &number.to_string()))
}

/// Converts a count that may be absent.
pub(crate) fn optional_count(what: &str, number: Option<i32>) -> Result<Option<u32>, ApiError> {
    number.map(|number| count(what, number)).transpose()
}

/// Converts a count for EC2, which uses signed numbers.
pub(crate) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Converts a time.
pub(crate) fn time(what: &str, time: Option<DateTime>) -> Result<Timestamp, ApiError> {
    let time = required(time, what)?;
    let millis = time.to_millis().ok().and_then(|millis| u64::try_from(millis).ok());
    millis.map(Timestamp).ok_or_else(|| unexpected(what, &time.to_string()))
}

/// Parses a time that EC2 sends as text, as it does for images.
pub(crate) fn parse_time(what: &str, text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = DateTime::from_str(&text, DateTimeFormat::DateTime).map_err(|_| unexpected(what, &text))?;
    time(what, Some(read)).map(Some)
}

/// Returns tags by key. A tag without a key is skipped; a missing value is empty.
pub(crate) fn tags(tags: Option<Vec<types::Tag>>) -> Tags {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// Converts tags for EC2.
pub(crate) fn to_tags(tags: &Tags) -> Vec<types::Tag> {
    tags.iter().map(|(key, value)| types::Tag::builder().key(key).value(value).build()).collect()
}

/// Returns the tags of new resources by type. A type without tags is left out, as EC2 refuses an empty specification.
pub(crate) fn tag_specifications<const N: usize>(
    tags: [(types::ResourceType, &Tags); N],
) -> Option<Vec<types::TagSpecification>> {
    let tagged = tags.into_iter().filter(|(_, tags)| !tags.is_empty());
    let specification =
        |(kind, tags)| types::TagSpecification::builder().resource_type(kind).set_tags(Some(to_tags(tags))).build();
    non_empty(tagged.map(specification).collect())
}

/// Converts filters for EC2.
pub(crate) fn filters(filters: Vec<Filter>) -> Option<Vec<types::Filter>> {
    let filter = |it: Filter| types::Filter::builder().name(it.name).set_values(Some(it.values)).build();
    non_empty(filters.into_iter().map(filter).collect())
}

/// Returns a list unless it is empty.
pub(crate) fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Converts ids to texts.
pub(crate) fn texts<T: ToString>(ids: &[T]) -> Option<Vec<String>> {
    non_empty(ids.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use bakehouse_ec2::resource::{AttachmentState, VolumeState};
    use bakehouse_protocol::{VolumeId, spec::Architecture};

    use super::*;

    #[test]
    fn unknown_values_are_errors_that_name_them() {
        assert_eq!(variant::<VolumeState>("a volume's state", "in-use").unwrap(), VolumeState::InUse);
        assert_eq!(variant::<AttachmentState>("a state", "busy").unwrap(), AttachmentState::Busy);
        assert_eq!(variant::<Architecture>("an architecture", "arm64").unwrap(), Architecture::Arm64);
        let error = variant::<VolumeState>("a volume's state", "melting").unwrap_err();
        assert_eq!(error.code, ApiError::NOT_UNDERSTOOD);
        assert_eq!(error.message, "EC2 returned a volume's state \"melting\", which is not known here");
    }

    #[test]
    fn missing_or_malformed_fields_are_named() {
        assert_eq!(required::<u32>(None, "a size").unwrap_err().message, "EC2's response lacks a size");
        let error = id::<VolumeId>("a volume's id", Some("snap-01234567".to_owned())).unwrap_err();
        assert!(error.message.contains("\"snap-01234567\""), "{error}");
        assert_eq!(optional_id::<VolumeId>("an id", Some(String::new())), Ok(None));
        assert!(count("a size", -1).is_err());
    }

    #[test]
    fn times_are_read_in_both_formats() {
        assert_eq!(time("a time", Some(DateTime::from_millis(1_767_225_600_123))), Ok(Timestamp(1_767_225_600_123)));
        let written = parse_time("a time", Some("2026-01-01T00:00:00.000Z".to_owned()));
        assert_eq!(written, Ok(Some(Timestamp(1_767_225_600_000))));
        assert!(parse_time("a time", Some("tomorrow".to_owned())).is_err());
    }

    #[test]
    fn no_tags_make_no_specification() {
        let none = Tags::new();
        assert_eq!(tag_specifications([(types::ResourceType::Volume, &none)]), None);
        let tags = Tags::from([("a".to_owned(), "1".to_owned())]);
        let both = [(types::ResourceType::Image, &none), (types::ResourceType::Volume, &tags)];
        let [made] = <[_; 1]>::try_from(tag_specifications(both).unwrap()).unwrap();
        assert_eq!(made.resource_type, Some(types::ResourceType::Volume));
        assert_eq!(super::tags(made.tags), tags);
    }
}
