//! `decode_authorization_messages`: the encoded text of a refused call says, once decoded, which statement of which
//! policy refused it.

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use bakehouse_ec2::{ApiError, faults::DECODED};

/// What stands before the encoded text.
const MARK: &str = "Encoded authorization failure message: ";

/// Returns the error with its encoded text decoded. If STS refuses that, the error is left as it is.
pub(super) async fn decoded(error: ApiError, config: &SdkConfig) -> ApiError {
    let Some(encoded) = encoded(&error.message) else { return error };
    let answer = Client::new(config).decode_authorization_message().encoded_message(encoded).send().await;
    match answer.map(|answer| answer.decoded_message) {
        Ok(Some(text)) => ApiError {
            message: error.message.replace(&format!("{MARK}{encoded}"), &format!("{DECODED}{text}")),
            ..error
        },
        Ok(None) => error,
        Err(refused) => {
            tracing::warn!(error = %aws_sdk_sts::error::DisplayErrorContext(&refused), "decoding a refusal failed");
            error
        }
    }
}

fn encoded(message: &str) -> Option<&str> {
    message.split_once(MARK)?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoded_text_is_found() {
        let message =
            "You are not authorized to perform this operation. Encoded authorization failure message: AbC-1 x";
        assert_eq!(encoded(message), Some("AbC-1"));
        assert_eq!(encoded("You are not authorized to perform this operation."), None);
    }
}
