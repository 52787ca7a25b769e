//! SQS: messages and queues.

use std::{collections::HashMap, time::Duration};

use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_sqs::{
    Client, Config,
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use bakehouse_protocol::{Fault, FaultKind, Timestamp};
use serde::Serialize;

use crate::{
    Call, CallError, Limits,
    message::{self, MessageError},
};

/// How long a call waits for a message: the most that SQS allows.
const POLL: i32 = 20;
/// How many messages a call receives: the most that SQS allows.
const BATCH: i32 = 10;

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message's id; the same each time it is received.
    pub id: String,
    /// The receipt handle of this time, which deletes the message.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// When it was sent, by the queue's clock.
    pub sent: Timestamp,
}

/// Why a message was not sent, or perhaps was not.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It can't be sent.
    #[error("{call}")]
    Message {
        /// The call that would have sent it.
        call: Call,
        /// Why.
        #[source]
        source: MessageError,
    },
    /// SQS did not take it.
    #[error("{}", .0.call)]
    Call(#[source] CallError),
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Message { call, source } => {
                let fault = Self::new(FaultKind::Permanent, format!("{call}: {source}"));
                match source {
                    MessageError::TooLong(_) => {
                        fault.hint("the inline scripts of the template are too long: put them into files beside it")
                    }
                    MessageError::Json(_) => fault,
                }
            }
            SendError::Call(error) => error.into(),
        }
    }
}

/// SQS.
#[derive(Clone, Debug)]
pub struct Sqs {
    client: Client,
}

impl Sqs {
    /// SQS with these credentials and settings.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { client: Client::new(sdk) }
    }

    /// Sends a message that arrives after `delay_seconds` (0 to 900). `target`, for errors: "the job of b-1 to the host
    /// i-1".
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send<M: Serialize>(
        &self,
        url: &str,
        target: String,
        message: M,
        delay_seconds: i32,
    ) -> Result<(), SendError> {
        let call = Call::new("sqs", "SendMessage", target);
        let text = match message::text(message) {
            Ok(text) => text,
            Err(source) => return Err(SendError::Message { call, source }),
        };
        let send = self.client.send_message().queue_url(url).message_body(text).delay_seconds(delay_seconds);
        send.send().await.map(drop).map_err(|error| SendError::Call(call.failed(error)))
    }

    /// Waits up to 20 s for messages, and hides those that it returns from other receivers for so many seconds.
    ///
    /// # Errors
    /// [`CallError`]; `NotFound`: there is no such queue.
    pub async fn receive(&self, url: &str, visibility_seconds: i32) -> Result<Vec<Received>, CallError> {
        let call = Call::new("sqs", "ReceiveMessage", format!("from {url}"));
        let limits = Limits::default();
        let wait = Duration::from_secs(POLL.unsigned_abs().into());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(limits.connect)
            .operation_attempt_timeout(limits.attempt + wait)
            .operation_timeout(limits.operation + wait)
            .build();
        let answer = self
            .client
            .receive_message()
            .queue_url(url)
            .wait_time_seconds(POLL)
            .max_number_of_messages(BATCH)
            .visibility_timeout(visibility_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .customize()
            .config_override(Config::builder().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| call.failed(error))?;
        let received = answer.messages.unwrap_or_default().into_iter().map(|message| {
            let sent = message
                .attributes
                .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok());
            Received {
                id: message.message_id.unwrap_or_default(),
                receipt: message.receipt_handle.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                sent: Timestamp(sent.unwrap_or_default()),
            }
        });
        Ok(received.collect())
    }

    /// Deletes a message that was received.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn delete(&self, url: &str, receipt: &str) -> Result<(), CallError> {
        let deleted = self.client.delete_message().queue_url(url).receipt_handle(receipt).send().await;
        deleted.map(drop).map_err(|error| Call::new("sqs", "DeleteMessage", format!("from {url}")).failed(error))
    }

    /// Sets the visibility time-out of a received message to this many seconds from now; 0 makes it visible.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn change_visibility(&self, url: &str, receipt: &str, seconds: i32) -> Result<(), CallError> {
        let change = self.client.change_message_visibility().queue_url(url).receipt_handle(receipt);
        change
            .visibility_timeout(seconds)
            .send()
            .await
            .map(drop)
            .map_err(|error| Call::new("sqs", "ChangeMessageVisibility", format!("at {url}")).failed(error))
    }

    /// Returns the URL of the queue of this name.
    ///
    /// # Errors
    /// [`CallError`]; `NotFound`: there is none.
    pub async fn queue_url(&self, name: &str) -> Result<String, CallError> {
        let found = self.client.get_queue_url().queue_name(name).send().await;
        let found = found.map_err(|error| Call::new("sqs", "GetQueueUrl", name).failed(error))?;
        Ok(found.queue_url.unwrap_or_default())
    }

    /// Creates the queue `name`, whose URL is `url`, with these attributes (by SQS's names) and a tag; if it exists
    /// already, sets the attributes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ensure_queue(
        &self,
        name: &str,
        url: &str,
        attributes: &[(&str, String)],
        tag: (&str, &str),
    ) -> Result<(), CallError> {
        let attributes: HashMap<_, _> =
            attributes.iter().map(|(name, value)| (QueueAttributeName::from(*name), value.clone())).collect();
        let create = self.client.create_queue().queue_name(name).tags(tag.0, tag.1);
        match create.set_attributes(Some(attributes.clone())).send().await {
            Ok(_) => Ok(()),
            // It was made by another version of ours.
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_name_exists()) => {
                let set = self.client.set_queue_attributes().queue_url(url).set_attributes(Some(attributes));
                let set = set.send().await.map(drop);
                set.map_err(|error| Call::new("sqs", "SetQueueAttributes", name).failed(error))
            }
            Err(error) => Err(Call::new("sqs", "CreateQueue", name).failed(error)),
        }
    }

    /// Deletes a queue. That there is none is no error.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn delete_queue(&self, name: &str, url: &str) -> Result<(), CallError> {
        let deleted = self.client.delete_queue().queue_url(url).send().await;
        match deleted.map_err(|error| Call::new("sqs", "DeleteQueue", name).failed(error)) {
            Err(error) if error.fault.kind == FaultKind::NotFound => Ok(()),
            done => done.map(drop),
        }
    }
}
