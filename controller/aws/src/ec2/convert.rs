//! EC2's words and ours: the SDK has text and open enums where we have ids and states. What we do not know is an error
//! that names it, never a panic and never a guess.

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

fn not_understood(what: &str, text: &str) -> ApiError {
    ApiError::new(ApiError::NOT_UNDERSTOOD, format!("EC2 answered with {what} \"{text}\", which is not known here"))
}

/// A field that EC2 always sends.
pub(crate) fn need<T>(value: Option<T>, what: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::new(ApiError::NOT_UNDERSTOOD, format!("EC2 answered without {what}")))
}

/// One of our enums by EC2's word for it. Their words are those of their serialized form.
pub(crate) fn word<T: for<'de> Deserialize<'de>>(what: &str, text: &str) -> Result<T, ApiError> {
    let word: Result<T, value::Error> = T::deserialize(text.into_deserializer());
    word.map_err(|_| not_understood(what, text))
}

/// An id, or another text with a form of its own.
pub(crate) fn id<T: TryFrom<String>>(what: &str, text: Option<String>) -> Result<T, ApiError> {
    let text = need(text, what)?;
    T::try_from(text.clone()).map_err(|_| not_understood(what, &text))
}

/// An id that may be absent; EC2 sends the empty text, too.
pub(crate) fn maybe_id<T: TryFrom<String>>(what: &str, text: Option<String>) -> Result<Option<T>, ApiError> {
    text.filter(|text| !text.is_empty()).map(|text| id(what, Some(text))).transpose()
}

/// A count, which EC2 never makes negative.
pub(crate) fn count(what: &str, number: i32) -> Result<u32, ApiError> {
    u32::try_from(number).map_err(|_| not_understood(what, &number.to_string()))
}

/// A count that may be absent.
pub(crate) fn maybe_count(what: &str, number: Option<i32>) -> Result<Option<u32>, ApiError> {
    number.map(|number| count(what, number)).transpose()
}

/// A number for EC2, which counts with a sign.
pub(crate) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A moment.
pub(crate) fn time(what: &str, time: Option<DateTime>) -> Result<Timestamp, ApiError> {
    let time = need(time, what)?;
    let millis = time.to_millis().ok().and_then(|millis| u64::try_from(millis).ok());
    millis.map(Timestamp).ok_or_else(|| not_understood(what, &time.to_string()))
}

/// A moment that EC2 sends as text, as it does for images.
pub(crate) fn written_time(what: &str, text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = DateTime::from_str(&text, DateTimeFormat::DateTime).map_err(|_| not_understood(what, &text))?;
    time(what, Some(read)).map(Some)
}

/// Tags by key. A tag without a key is none; one without a value has the empty one.
pub(crate) fn tags(tags: Option<Vec<types::Tag>>) -> Tags {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// Tags for EC2.
pub(crate) fn to_tags(tags: &Tags) -> Vec<types::Tag> {
    tags.iter().map(|(key, value)| types::Tag::builder().key(key).value(value).build()).collect()
}

/// Tags for what a call makes; none: nothing is sent, as EC2 refuses an empty specification.
pub(crate) fn specification(kind: types::ResourceType, tags: &Tags) -> Option<types::TagSpecification> {
    let specification = types::TagSpecification::builder().resource_type(kind).set_tags(Some(to_tags(tags))).build();
    (!tags.is_empty()).then_some(specification)
}

/// Filters for EC2.
pub(crate) fn filters(filters: Vec<Filter>) -> Option<Vec<types::Filter>> {
    let filter = |it: Filter| types::Filter::builder().name(it.name).set_values(Some(it.values)).build();
    some(filters.into_iter().map(filter).collect())
}

/// A list, if it has anything in it.
pub(crate) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Ids as text.
pub(crate) fn texts<T: ToString>(ids: &[T]) -> Option<Vec<String>> {
    some(ids.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use bakehouse_ec2::resource::{AttachmentState, VolumeState};
    use bakehouse_protocol::{VolumeId, spec::Architecture};

    use super::*;

    #[test]
    fn words_are_read_and_unknown_ones_named() {
        assert_eq!(word::<VolumeState>("a volume's state", "in-use").unwrap(), VolumeState::InUse);
        assert_eq!(word::<AttachmentState>("a state", "busy").unwrap(), AttachmentState::Busy);
        assert_eq!(word::<Architecture>("an architecture", "arm64").unwrap(), Architecture::Arm64);
        let error = word::<VolumeState>("a volume's state", "melting").unwrap_err();
        assert_eq!(error.code, ApiError::NOT_UNDERSTOOD);
        assert_eq!(error.message, "EC2 answered with a volume's state \"melting\", which is not known here");
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        assert_eq!(need::<u32>(None, "a size").unwrap_err().message, "EC2 answered without a size");
        let error = id::<VolumeId>("a volume's id", Some("snap-01234567".to_owned())).unwrap_err();
        assert!(error.message.contains("\"snap-01234567\""), "{error}");
        assert_eq!(maybe_id::<VolumeId>("an id", Some(String::new())), Ok(None));
        assert!(count("a size", -1).is_err());
    }

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(time("a time", Some(DateTime::from_millis(1_767_225_600_123))), Ok(Timestamp(1_767_225_600_123)));
        let written = written_time("a time", Some("2026-01-01T00:00:00.000Z".to_owned()));
        assert_eq!(written, Ok(Some(Timestamp(1_767_225_600_000))));
        assert!(written_time("a time", Some("tomorrow".to_owned())).is_err());
    }

    #[test]
    fn no_tags_are_no_specification() {
        assert_eq!(specification(types::ResourceType::Volume, &Tags::new()), None);
        let tags = Tags::from([("a".to_owned(), "1".to_owned())]);
        let made = specification(types::ResourceType::Volume, &tags).unwrap();
        assert_eq!(super::tags(made.tags), tags);
    }
}
