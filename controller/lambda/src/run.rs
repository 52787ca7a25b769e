//! One build, in one invocation: what has happened to it is handled, then the next looks that come within seconds are
//! taken here, without leaving. Whatever is later is arranged by a message.

use bakehouse_controller::{
    drive::handle,
    ports::{Clock, StoreError},
};
use bakehouse_machine::{Build, Event};
use bakehouse_protocol::{BuildId, Millis, Timestamp};

use crate::{
    metrics::Metrics,
    stack::{BuildLog, Stack, Timers},
    watch::Watcher,
};

/// The longest single wait that is taken inside an invocation.
pub const WAIT: Millis = Millis::seconds(5);
/// The longest that one build may wait inside an invocation, in all.
pub const WAITS: Millis = Millis::seconds(10);
/// The shortest.
const LEAST: Millis = Millis(50);
/// Between two moments at which builds that wait in step are woken.
const BEAT: Millis = Millis(500);

/// How a build waits within an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until its own moment.
    Alone,
    /// Until the next beat, with the others: what they look at then is asked for in one call.
    InStep,
}

impl Wait {
    fn until(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Alone => at,
            Self::InStep => Timestamp(at.0.div_ceil(BEAT.0) * BEAT.0),
        }
    }
}

/// What came of a build in one invocation.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// The record as it is now; `None` if there was nothing to handle.
    pub build: Option<Build>,
    /// It has given its slot back.
    pub freed: bool,
}

/// Handles these events in their order, and what follows within seconds. `until`: when the invocation must have come to
/// its end.
///
/// # Errors
/// [`StoreError`] if the record can't be loaded or saved, or the next tick can't be arranged: the messages then count
/// as not handled and must come again.
pub async fn run<P: Stack>(
    pair: &P,
    metrics: &Metrics,
    id: &BuildId,
    events: Vec<Event>,
    wait: Wait,
    until: Timestamp,
) -> Result<Ran, StoreError> {
    let mut watch = Watcher::new(metrics, id);
    let done = drive(pair, id, events, wait, until, &mut watch).await;
    tell(pair, id, &mut watch).await;
    Ok(Ran { build: done?, freed: watch.freed })
}

async fn drive<P: Stack>(
    pair: &P,
    id: &BuildId,
    events: Vec<Event>,
    wait: Wait,
    until: Timestamp,
    watch: &mut Watcher<'_>,
) -> Result<Option<Build>, StoreError> {
    let mut look: Option<Timestamp> = None;
    let mut last = None;
    for event in events {
        let (build, again) = handle(pair, id, event, watch).await?;
        // A word that was ignored says nothing of when to look: the earliest counts. One tick too many costs nothing.
        look = if build.phase.has_ended() { None } else { look.into_iter().chain(again).min() };
        last = Some(build);
    }
    let end = until.min(pair.clock().now() + WAITS);
    while let Some(at) = look {
        let now = pair.clock().now();
        // Never at once: whatever a record says, nothing may go round without time passing.
        let next = wait.until(at.max(now + LEAST));
        if next > now + WAIT || next > end {
            pair.ticks().arrange(id, at).await?;
            break;
        }
        tell(pair, id, watch).await;
        pair.rest(next).await;
        let (build, again) = handle(pair, id, Event::Tick, watch).await?;
        (last, look) = (Some(build), again);
    }
    Ok(last)
}

/// Tells those who watch the build what has come of it so far.
async fn tell<P: Stack>(pair: &P, id: &BuildId, watch: &mut Watcher<'_>) {
    let told = watch.told();
    if told.is_empty() {
        return;
    }
    if let Err(fault) = pair.build_log().write(id, told).await {
        // The record says the same: nobody's build depends on it.
        tracing::warn!(build = %id, %fault, "what happened can't be written to the build's log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_step_means_at_the_same_moment_and_never_early() {
        assert_eq!(Wait::Alone.until(Timestamp(1_001)), Timestamp(1_001));
        for at in [1_001, 1_250, 1_500] {
            assert_eq!(Wait::InStep.until(Timestamp(at)), Timestamp(1_500));
        }
        assert_eq!(Wait::InStep.until(Timestamp(1_501)), Timestamp(2_000));
    }
}
