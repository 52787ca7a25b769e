//! One build, in one invocation: what has happened to it is handled, then the next looks that come within seconds are
//! taken here, without leaving. Whatever is later is arranged by a message.

use bakehouse_controller::{
    drive::{Watch, handle},
    ports::{Clock, StoreError},
};
use bakehouse_machine::{Build, Event};
use bakehouse_protocol::{BuildId, Millis, Timestamp};

use crate::pair::{Pair, Ticks};

/// The longest single wait that is taken inside an invocation.
pub const WAIT: Millis = Millis::seconds(5);
/// The longest that one build may wait inside an invocation, in all.
pub const WAITS: Millis = Millis::seconds(10);
/// The shortest.
const LEAST: Millis = Millis(50);

/// Handles these events in their order, and what follows within seconds. `until`: when the invocation must have come to
/// its end.
///
/// # Errors
/// [`StoreError`] if the record can't be loaded or saved, or the next tick can't be arranged: the messages then count
/// as not handled and must come again.
pub async fn run<P: Pair>(
    pair: &P,
    id: &BuildId,
    events: Vec<Event>,
    until: Timestamp,
    watch: &mut (dyn Watch + Send),
) -> Result<Option<Build>, StoreError> {
    let mut last: Option<Build> = None;
    let mut look: Option<Timestamp> = None;
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
        let next = at.max(now + LEAST);
        if next > now + WAIT || next > end {
            pair.ticks().arrange(id, at).await?;
            break;
        }
        pair.rest(next).await;
        let (build, again) = handle(pair, id, Event::Tick, watch).await?;
        (look, last) = (again, Some(build));
    }
    Ok(last)
}
