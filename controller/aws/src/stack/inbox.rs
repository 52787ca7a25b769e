//! Sends messages to the stack's inbox, among them the ticks of builds.
//!
//! After a build's events are handled, the caller calls [`schedule_tick`] once: it sends a tick, unless one that
//! arrives early enough is already scheduled. Until then the message that is being handled is the safety net.

use aws_config::SdkConfig;
use bakehouse_aws::Sqs;
use bakehouse_controller::ports::StoreError;
use bakehouse_protocol::{BuildId, InboxMessage, Millis, StackConfig, Timestamp};

use crate::stack::{Table, store_error::not_sent};

/// SQS's limit of a message's delay.
const MAX_DELAY: Millis = Millis::seconds(900);
/// A tick this near may be the one that is being handled now, as the clocks of SQS and of this machine differ a little.
const CLOCK_SKEW: Millis = Millis::seconds(2);

/// The stack's inbox.
#[derive(Clone, Debug)]
pub struct Inbox {
    sqs: Sqs,
    url: String,
}

impl Inbox {
    /// Returns the inbox of a stack.
    pub fn new(sdk: &SdkConfig, stack: &StackConfig) -> Self {
        Self { sqs: Sqs::new(sdk), url: stack.inbox_url.clone() }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`StoreError::Failed`]: it is too large, or SQS refused it.
    pub async fn send(&self, message: &InboxMessage) -> Result<(), StoreError> {
        self.send_delayed(message, 0).await
    }

    /// Sends a tick to a build that arrives at this time, or after SQS's limit of 15 minutes if that is earlier: its
    /// handler then schedules another.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn tick(&self, build: &BuildId, at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.send_delayed(&InboxMessage::Tick { build: build.clone() }, delay(at, now)).await
    }

    async fn send_delayed(&self, message: &InboxMessage, seconds: i32) -> Result<(), StoreError> {
        let target = format!("{} to the inbox", describe(message));
        self.sqs.send(&self.url, target, message, seconds).await.map_err(not_sent)
    }
}

fn describe(message: &InboxMessage) -> String {
    match message {
        InboxMessage::Request(_) => "a request".to_owned(),
        InboxMessage::Report { report } => format!("a report on {}", report.build),
        InboxMessage::Host { host } => format!("a report of the host {}", host.host),
        InboxMessage::Tick { build } => format!("a tick for {build}"),
        InboxMessage::Cancel { build } => format!("the cancellation of {build}"),
        InboxMessage::Patrol => "a reconciliation".to_owned(),
        InboxMessage::Release => "a release".to_owned(),
        InboxMessage::Drain { host, .. } => format!("the draining of the host {host}"),
    }
}

/// Returns the delay in whole seconds, rounded up: a tick that arrives early has no effect.
fn delay(at: Timestamp, now: Timestamp) -> i32 {
    let seconds = at.since(now).0.div_ceil(1000).min(MAX_DELAY.0 / 1000);
    i32::try_from(seconds).unwrap_or(0)
}

/// Returns the time of the tick to send. `None`: the one that is scheduled is early enough.
fn tick_to_send(due: Timestamp, scheduled: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    // One that is overdue has been lost, or is being handled now.
    let is_early_enough = scheduled.is_some_and(|at| now + CLOCK_SKEW < at && at <= due);
    (!is_early_enough).then(|| due.min(now + MAX_DELAY))
}

/// Makes sure that a build gets a tick at this time or earlier: sends one, unless one is scheduled that is early enough
/// and not overdue.
///
/// # Errors
/// [`StoreError::Failed`] if it can't be sent.
pub async fn schedule_tick(
    inbox: &Inbox,
    table: &Table,
    build: &BuildId,
    due: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let scheduled = table.tick_at(build).await.unwrap_or_else(|error| {
        // Then one tick too many is sent.
        tracing::warn!(%build, error = &error as &dyn std::error::Error, "can't read when a tick is scheduled");
        None
    });
    let Some(at) = tick_to_send(due, scheduled, now) else { return Ok(()) };
    inbox.tick(build, at, now).await?;
    // Recorded after it was sent: a recorded tick that was never sent would prevent others.
    if let Err(error) = table.record_tick(build, at).await {
        tracing::warn!(%build, error = &error as &dyn std::error::Error, "can't record when a tick is scheduled");
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
        assert_eq!(tick_to_send(at(30), None, NOW), Some(at(30)));
        assert_eq!(tick_to_send(at(30), Some(at(20)), NOW), None, "an earlier one is scheduled");
        assert_eq!(tick_to_send(at(30), Some(at(30)), NOW), None, "that very one is scheduled");
        assert_eq!(tick_to_send(at(30), Some(at(40)), NOW), Some(at(30)), "the scheduled one comes too late");
        assert_eq!(tick_to_send(at(30), Some(NOW), NOW), Some(at(30)), "it is being handled");
        assert_eq!(
            tick_to_send(at(30), Some(at(1)), NOW),
            Some(at(30)),
            "it may be being handled, by a clock that is behind"
        );
        assert_eq!(tick_to_send(at(30), Some(Timestamp(0)), NOW), Some(at(30)), "it was lost");
        assert_eq!(tick_to_send(Timestamp(0), None, NOW), Some(Timestamp(0)), "overdue: at once");
    }

    #[test]
    fn a_long_wait_is_taken_in_steps() {
        assert_eq!(tick_to_send(at(5000), None, NOW), Some(at(900)));
        assert_eq!(tick_to_send(at(5000), Some(at(900)), NOW), None);
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
