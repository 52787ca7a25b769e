//! Lines for systemd's journal.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{self, Compact, Writer},
    },
    registry::LookupSpan,
};

/// A line without a time, as the journal has its own.
pub(crate) struct Journal {
    line: format::Format<Compact, ()>,
    has_prefix: bool,
}

impl Journal {
    pub(crate) fn new(has_prefix: bool) -> Self {
        Self { line: format::Format::default().compact().without_time().with_target(false), has_prefix }
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.has_prefix {
            write!(out, "<{}>", priority(*event.metadata().level()))?;
        }
        self.line.format_event(context, out, event)
    }
}

/// Returns a level as sd-daemon(3) numbers it.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}
