//! Sending to the stack's inbox, and the ticks that bring a build back when its time has come.
//!
//! Whoever has handled what there was to handle calls [`arrange`] once for each build, at its end: one tick is sent,
//! unless one that comes early enough is under way already. Until then the message being handled is the net.

use aws_config::SdkConfig;
use bakehouse_aws::Sqs;
use bakehouse_controller::ports::StoreError;
use bakehouse_protocol::{BuildId, InboxMessage, Millis, StackConfig, Timestamp};

use crate::stack::{Table, store_error::not_sent};

/// The longest that SQS holds a message back.
const LONGEST: Millis = Millis::seconds(900);
/// A tick this near may be the one that is being handled now: the clocks of SQS and of this machine differ a little.
const NEAR: Millis = Millis::seconds(2);

/// The stack's inbox.
#[derive(Clone, Debug)]
pub struct Inbox {
    sqs: Sqs,
    url: String,
}

impl Inbox {
    /// The inbox of a stack.
    pub fn new(sdk: &SdkConfig, stack: &StackConfig) -> Self {
        Self { sqs: Sqs::new(sdk), url: stack.inbox_url.clone() }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`StoreError::Failed`]: it is too large, or SQS did not take it.
    pub async fn send(&self, message: &InboxMessage) -> Result<(), StoreError> {
        self.send_later(message, 0).await
    }

    /// Sends a build a tick that arrives at a time, or after a quarter of an hour if that is earlier: whoever handles it
    /// sees then that it is not yet time.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn tick(&self, build: &BuildId, at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.send_later(&InboxMessage::Tick { build: build.clone() }, delay(at, now)).await
    }

    async fn send_later(&self, message: &InboxMessage, seconds: i32) -> Result<(), StoreError> {
        let target = format!("{} to the inbox", kind(message));
        self.sqs.send(&self.url, target, message, seconds).await.map_err(not_sent)
    }
}

fn kind(message: &InboxMessage) -> String {
    match message {
        InboxMessage::Request(_) => "a request".to_owned(),
        InboxMessage::Report { report } => format!("a report on {}", report.build),
        InboxMessage::Host { host } => format!("a report of the host {}", host.host),
        InboxMessage::Tick { build } => format!("a tick for {build}"),
        InboxMessage::Cancel { build } => format!("the cancelling of {build}"),
        InboxMessage::Patrol => "a patrol".to_owned(),
        InboxMessage::Release => "word of a release".to_owned(),
        InboxMessage::Drain { host, .. } => format!("the draining of the host {host}"),
    }
}

/// In whole seconds and never early: what comes too early does nothing but ask for another.
fn delay(at: Timestamp, now: Timestamp) -> i32 {
    let seconds = at.since(now).0.div_ceil(1000).min(LONGEST.0 / 1000);
    i32::try_from(seconds).unwrap_or(0)
}

/// The tick to send, if one is needed, given for when one is arranged.
fn needed(wish: Timestamp, arranged: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    // One that is overdue has been lost, or is the very one that is being handled: it can't be counted on.
    let is_under_way = arranged.is_some_and(|at| now + NEAR < at && at <= wish);
    (!is_under_way).then(|| wish.min(now + LONGEST))
}

/// Makes sure that a build gets a tick at this time or earlier: sends one, unless one that is early enough and not overdue
/// is known to be under way.
///
/// # Errors
/// [`StoreError::Failed`] if it can't be sent.
pub async fn schedule_tick(
    inbox: &Inbox,
    table: &Table,
    build: &BuildId,
    wish: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let arranged = table.tick_at(build).await.unwrap_or_else(|error| {
        // Then a tick too many is sent.
        tracing::warn!(%build, error = &error as &dyn std::error::Error, "no tick known of");
        None
    });
    let Some(at) = needed(wish, arranged, now) else { return Ok(()) };
    inbox.tick(build, at, now).await?;
    // Noted after it was sent: a note of a tick that never was would keep others from being sent.
    if let Err(error) = table.note_tick(build, at).await {
        tracing::warn!(%build, error = &error as &dyn std::error::Error, "tick not noted");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOW + Millis::seconds(seconds)
    }

    #[test]
    fn a_tick_is_sent_unless_one_comes_early_enough() {
        assert_eq!(needed(at(30), None, NOW), Some(at(30)));
        assert_eq!(needed(at(30), Some(at(20)), NOW), None, "an earlier one is under way");
        assert_eq!(needed(at(30), Some(at(30)), NOW), None, "that very one is under way");
        assert_eq!(needed(at(30), Some(at(40)), NOW), Some(at(30)), "the one under way comes too late");
        assert_eq!(needed(at(30), Some(NOW), NOW), Some(at(30)), "it is being handled");
        assert_eq!(
            needed(at(30), Some(at(1)), NOW),
            Some(at(30)),
            "it may be being handled, by a clock that is behind"
        );
        assert_eq!(needed(at(30), Some(Timestamp(0)), NOW), Some(at(30)), "it was lost");
        assert_eq!(needed(Timestamp(0), None, NOW), Some(Timestamp(0)), "overdue: at once");
    }

    #[test]
    fn a_long_wait_is_taken_in_steps() {
        assert_eq!(needed(at(5000), None, NOW), Some(at(900)));
        assert_eq!(needed(at(5000), Some(at(900)), NOW), None);
        assert_eq!(delay(at(5000), NOW), 900);
    }

    #[test]
    fn a_tick_never_comes_early() {
        assert_eq!(delay(NOW, at(1)), 0);
        assert_eq!(delay(NOW, NOW), 0);
        assert_eq!(delay(NOW + Millis(1), NOW), 1);
        assert_eq!(delay(NOW + Millis(1001), NOW), 2);
    }
}
