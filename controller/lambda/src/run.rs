//! One build within one invocation: handles its events, then the ticks that are due within seconds. A later tick is
//! scheduled by a message.

use bakehouse_controller::{
    drive::handle,
    ports::{Clock, StoreError},
};
use bakehouse_machine::{Build, Event};
use bakehouse_protocol::{BuildId, Millis, Timestamp};

use crate::{
    metrics::Metrics,
    observer::BuildObserver,
    stack::{BuildLog, Stack, Timers},
};

/// The longest single wait inside an invocation.
pub const MAX_WAIT: Millis = Millis::seconds(5);
/// The longest total wait of one build inside an invocation.
pub const MAX_TOTAL_WAIT: Millis = Millis::seconds(10);
/// The shortest wait.
const MIN_WAIT: Millis = Millis(50);
/// The interval to which the waits of several builds are aligned.
const WAIT_INTERVAL: Millis = Millis(500);

/// How a build waits within an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitMode {
    /// Until the exact time of the tick.
    Exact,
    /// Until the next multiple of an interval, so that several builds wake together and their describe calls can be
    /// merged.
    Aligned,
}

impl WaitMode {
    fn until(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Exact => at,
            Self::Aligned => Timestamp(at.0.div_ceil(WAIT_INTERVAL.0) * WAIT_INTERVAL.0),
        }
    }
}

/// The result of one build in one invocation.
#[derive(Clone, Debug, Default)]
pub struct RunResult {
    /// The saved record; `None` if there was nothing to handle.
    pub build: Option<Build>,
    /// The build has released its slot.
    pub freed: bool,
}

/// Handles these events in order, and the ticks that are due within seconds. `until`: when the invocation must end.
///
/// # Errors
/// [`StoreError`] if the record can't be loaded or saved, or the next tick can't be scheduled: the messages then count
/// as not handled and must be delivered again.
pub async fn run<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    id: &BuildId,
    events: Vec<Event>,
    wait: WaitMode,
    until: Timestamp,
) -> Result<RunResult, StoreError> {
    let mut observer = BuildObserver::new(metrics, id);
    let done = drive(stack, id, events, wait, until, &mut observer).await;
    flush_log(stack, id, &mut observer).await;
    Ok(RunResult { build: done?, freed: observer.freed })
}

async fn drive<S: Stack>(
    stack: &S,
    id: &BuildId,
    events: Vec<Event>,
    wait: WaitMode,
    until: Timestamp,
    observer: &mut BuildObserver<'_>,
) -> Result<Option<Build>, StoreError> {
    let mut next_tick: Option<Timestamp> = None;
    let mut last = None;
    for event in events {
        let (build, tick) = handle(stack, id, event, observer).await?;
        // An ignored event says nothing of the next tick: the earliest counts. One tick too many costs nothing.
        next_tick = if build.phase.has_ended() { None } else { next_tick.into_iter().chain(tick).min() };
        last = Some(build);
    }
    let end = until.min(stack.clock().now() + MAX_TOTAL_WAIT);
    while let Some(at) = next_tick {
        let now = stack.clock().now();
        // Never at once: a record that is due all the time must not make this a busy loop.
        let wake_at = wait.until(at.max(now + MIN_WAIT));
        if wake_at > now + MAX_WAIT || wake_at > end {
            stack.timers().schedule_tick(id, at).await?;
            break;
        }
        flush_log(stack, id, observer).await;
        stack.sleep_until(wake_at).await;
        let (build, tick) = handle(stack, id, Event::Tick, observer).await?;
        (last, next_tick) = (Some(build), tick);
    }
    Ok(last)
}

/// Writes the collected lines to the build's log.
async fn flush_log<S: Stack>(stack: &S, id: &BuildId, observer: &mut BuildObserver<'_>) {
    let lines = observer.take_log_lines();
    if lines.is_empty() {
        return;
    }
    if let Err(fault) = stack.build_log().write(id, lines).await {
        // The record says the same: no build depends on its log.
        tracing::warn!(build = %id, %fault, "can't write to the build's log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aligned_wait_ends_at_the_next_interval_and_never_early() {
        assert_eq!(WaitMode::Exact.until(Timestamp(1_001)), Timestamp(1_001));
        for at in [1_001, 1_250, 1_500] {
            assert_eq!(WaitMode::Aligned.until(Timestamp(at)), Timestamp(1_500));
        }
        assert_eq!(WaitMode::Aligned.until(Timestamp(1_501)), Timestamp(2_000));
    }
}
