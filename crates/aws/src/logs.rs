//! CloudWatch Logs: the streams of a log group. A build's stream has its id as its name; an event is one line of JSON,
//! a [`Report`](bakehouse_protocol::Report) of the agent or a line of the controller's.

use std::collections::VecDeque;

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::{Client, operation::put_log_events::PutLogEventsError, types::InputLogEvent};
use bakehouse_protocol::{Fault, FaultKind, Millis, Timestamp};

use crate::Call;

/// PutLogEvents' limits: the bytes of a batch, the bytes that each event counts beside its text, the events of a batch,
/// and the time from the first to the last.
const BATCH: usize = 1_048_576;
const EACH: usize = 26;
const EVENTS: usize = 10_000;
const SPAN: Millis = Millis::minutes(24 * 60);

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: Timestamp,
    /// Its text.
    pub text: String,
}

/// The streams of a log group.
#[derive(Clone, Debug)]
pub struct Logs {
    client: Client,
    group: String,
}

impl Logs {
    /// The streams of this log group.
    pub fn new(sdk: &SdkConfig, group: &str) -> Self {
        Self { client: Client::new(sdk), group: group.to_owned() }
    }

    fn call(&self, action: &'static str, stream: &str) -> Call {
        Call::new("logs", action, format!("{stream} in the log group {}", self.group))
    }

    /// Writes lines, in any order, to a stream; creates the stream if it is missing.
    ///
    /// # Errors
    /// A fault of CloudWatch Logs. Batches before the one that failed are written.
    pub async fn write(&self, stream: &str, lines: Vec<Line>) -> Result<(), Fault> {
        for batch in batches(lines) {
            match self.put(stream, &batch).await {
                Err(Put::NoStream) => {
                    self.create(stream).await?;
                    self.put(stream, &batch).await.map_err(|error| error.fault(&self.group, stream))?;
                }
                done => done.map_err(|error| error.fault(&self.group, stream))?,
            }
        }
        Ok(())
    }

    async fn put(&self, stream: &str, batch: &[Line]) -> Result<(), Put> {
        let call = self.call("PutLogEvents", stream);
        let events = batch.iter().map(|line| {
            let at = i64::try_from(line.at.0).unwrap_or(i64::MAX);
            InputLogEvent::builder().timestamp(at).message(&line.text).build()
        });
        let events = events.collect::<Result<Vec<_>, _>>();
        let events =
            events.map_err(|error| Put::Fault(Fault::new(FaultKind::Permanent, format!("{call}: {error}"))))?;
        let put = self.client.put_log_events().log_group_name(&self.group).log_stream_name(stream);
        match put.set_log_events(Some(events)).send().await {
            Ok(answer) => {
                if let Some(rejected) = answer.rejected_log_events_info() {
                    tracing::warn!(stream, ?rejected, "lines too old or too new for the log");
                }
                Ok(())
            }
            Err(error) if error.as_service_error().is_some_and(PutLogEventsError::is_resource_not_found_exception) => {
                Err(Put::NoStream)
            }
            Err(error) => Err(Put::Fault(call.fault(error))),
        }
    }

    async fn create(&self, stream: &str) -> Result<(), Fault> {
        let call = self.call("CreateLogStream", stream);
        let create = self.client.create_log_stream().log_group_name(&self.group).log_stream_name(stream);
        match create.send().await {
            // Controller and agent both write to it.
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_already_exists_exception()) =>
            {
                Ok(())
            }
            done => done.map(|_| ()).map_err(|error| call.fault(error)),
        }
    }

    /// Returns a reader of a stream's lines from the first on.
    pub fn read(&self, stream: &str) -> Reader {
        Reader { logs: self.clone(), stream: stream.to_owned(), token: None, ready: VecDeque::new() }
    }
}

enum Put {
    NoStream,
    Fault(Fault),
}

impl Put {
    fn fault(self, group: &str, stream: &str) -> Fault {
        match self {
            Self::NoStream => {
                Fault::new(FaultKind::NotFound, format!("PutLogEvents {stream}: the log group {group} is not there"))
            }
            Self::Fault(fault) => fault,
        }
    }
}

/// Reads a stream's lines in order. At the end, a later call returns what was written since.
#[derive(Debug)]
pub struct Reader {
    logs: Logs,
    stream: String,
    token: Option<String>,
    ready: VecDeque<Line>,
}

impl Reader {
    /// Returns the next line; none if there is none yet. A caller that follows the stream calls again after a second,
    /// as the service takes few such calls a second from a whole account.
    ///
    /// # Errors
    /// A fault of CloudWatch Logs. A stream that does not exist yet is an empty one.
    pub async fn next(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Reads a page. Returns false at the end.
    async fn fill(&mut self) -> Result<bool, Fault> {
        let Self { logs, stream, token, ready } = self;
        let call = logs.call("GetLogEvents", stream);
        let get = logs.client.get_log_events().log_group_name(&logs.group).log_stream_name(stream.as_str());
        let page = match get.start_from_head(true).set_next_token(token.clone()).send().await {
            Ok(page) => page,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                return Ok(false);
            }
            Err(error) => return Err(call.fault(error)),
        };
        // The same token as before: the end. A page may be empty and not be the last.
        let is_end = page.next_forward_token == *token;
        *token = page.next_forward_token.or(token.take());
        for event in page.events.unwrap_or_default() {
            let at = Timestamp(event.timestamp.and_then(|at| u64::try_from(at).ok()).unwrap_or(0));
            ready.push_back(Line { at, text: event.message.unwrap_or_default() });
        }
        Ok(!is_end || !ready.is_empty())
    }
}

/// Returns the lines in batches within PutLogEvents' limits, in order of time. A line that is too long for a batch of
/// its own is cut.
fn batches(mut lines: Vec<Line>) -> Vec<Vec<Line>> {
    lines.sort_by_key(|line| line.at);
    let mut batches: Vec<Vec<Line>> = Vec::new();
    let mut bytes = 0;
    // An empty message is refused.
    for mut line in lines.into_iter().filter(|line| !line.text.is_empty()) {
        line.text.truncate(line.text.floor_char_boundary(BATCH - EACH));
        let size = line.text.len() + EACH;
        let fits = |batch: &&mut Vec<Line>| {
            let is_near = batch.first().is_some_and(|first| line.at < first.at + SPAN);
            is_near && bytes + size <= BATCH && batch.len() < EVENTS
        };
        match batches.last_mut().filter(fits) {
            Some(batch) => {
                bytes += size;
                batch.push(line);
            }
            None => {
                bytes = size;
                batches.push(vec![line]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(at: u64, length: usize) -> Line {
        Line { at: Timestamp(at), text: "é".repeat(length / 2) + &"x".repeat(length % 2) }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_between_characters() {
        let batches = batches(vec![line(0, 2 * BATCH)]);
        assert_eq!(batches[0][0].text.len(), BATCH - EACH);
    }

    #[test]
    fn more_events_than_a_batch_holds_go_into_the_next() {
        let batches = batches((0..10_001).map(|at| line(at, 1)).collect());
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 1]);
    }

    proptest! {
        #[test]
        fn every_batch_keeps_the_limits_and_no_line_is_lost(
            lines in prop::collection::vec((0..4 * SPAN.0, 1..BATCH), 0..12),
        ) {
            let lines: Vec<_> = lines.into_iter().map(|(at, length)| line(at, length.min(BATCH - EACH))).collect();
            let batches = batches(lines.clone());
            for batch in &batches {
                let size: usize = batch.iter().map(|line| line.text.len() + EACH).sum();
                prop_assert!(size <= BATCH && batch.len() <= EVENTS && !batch.is_empty());
                prop_assert!(batch.is_sorted_by_key(|line| line.at));
                prop_assert!(batch[batch.len() - 1].at.since(batch[0].at) < SPAN);
            }
            let mut sorted = lines;
            sorted.sort_by_key(|line| line.at);
            prop_assert_eq!(batches.concat(), sorted);
        }
    }
}
