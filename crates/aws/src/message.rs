//! The text of a message, within SQS's rules.

use bakehouse_protocol::Envelope;
use serde::Serialize;

/// The largest message that SQS takes.
pub const MOST: usize = 1024 * 1024;

/// Why a message can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is too large.
    #[error("it is {0} bytes long, and a message may be {MOST}")]
    TooLong(usize),
    /// It can't be written as JSON.
    #[error("writing it as JSON")]
    Json(#[from] serde_json::Error),
}

/// Returns the text of a message, in its envelope.
///
/// # Errors
/// [`MessageError`].
pub fn text<M: Serialize>(message: M) -> Result<String, MessageError> {
    let mut text = serde_json::to_string(&Envelope::new(message))?;
    // SQS takes the characters that XML 1.0 knows. JSON's writer escapes the control characters; these two are the
    // rest.
    if text.contains(['\u{fffe}', '\u{ffff}']) {
        text = text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    if text.len() > MOST { Err(MessageError::TooLong(text.len())) } else { Ok(text) }
}

/// Returns the URL of another queue of the same account and region.
pub fn queue_url_beside(inbox_url: &str, name: &str) -> String {
    match inbox_url.rsplit_once('/') {
        Some((before, _)) => format!("{before}/{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bakehouse_protocol::{BuildId, InboxMessage};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_says_its_version_first() {
        let tick = InboxMessage::Tick { build: BuildId::from_parts(1, 2) };
        assert_eq!(text(tick).unwrap(), r#"{"bakehouse":1,"kind":"tick","build":"b-00000001-00000002"}"#);
    }

    #[test]
    fn a_message_that_no_queue_takes_is_refused_with_its_size() {
        #[derive(Serialize)]
        struct Long {
            text: String,
        }
        let long = |length| text(Long { text: "x".repeat(length) });
        let frame = r#"{"bakehouse":1,"text":""}"#.len();
        assert_eq!(long(MOST - frame).unwrap().len(), MOST);
        assert_eq!(
            long(MOST - frame + 1).unwrap_err().to_string(),
            "it is 1048577 bytes long, and a message may be 1048576"
        );
    }

    #[test]
    fn a_queue_beside_the_inbox() {
        let inbox = "https://sqs.us-east-1.amazonaws.com/123456789012/bakehouse-inbox";
        assert_eq!(queue_url_beside(inbox, "x"), "https://sqs.us-east-1.amazonaws.com/123456789012/x");
    }

    proptest! {
        #[test]
        fn only_characters_that_sqs_takes_are_sent_and_they_are_read_back(said in any::<String>()) {
            #[derive(Serialize, serde::Deserialize)]
            struct Said { said: String }
            let said = format!("{said}\u{fffe}\u{ffff}\u{0}");
            let text = text(Said { said: said.clone() }).unwrap();
            let taken = |c: char| matches!(c, '\u{9}' | '\u{a}' | '\u{d}' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            prop_assert!(text.chars().all(taken));
            prop_assert_eq!(serde_json::from_str::<Envelope<Said>>(&text).unwrap().message.said, said);
        }
    }
}
