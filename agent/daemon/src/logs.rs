//! A build's log stream: all reports of its job, one line of JSON each. Lines are sent in batches, every second or when
//! a batch is full. A job never waits for them: if they can't be sent, they are dropped and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bakehouse_protocol::{Report, ReportBody};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{self, Instant},
};

use crate::{context::Context, ports::Line};

/// The limit of lines in a batch.
const MAX_BATCH_LINES: usize = 100;
/// How long a batch waits for more lines.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// The limit of queued lines.
const QUEUE_CAPACITY: usize = 10_000;
/// How often sending a batch is tried.
const MAX_ATTEMPTS: u32 = 3;
/// CloudWatch Logs accepts 1 MiB in a call, and counts 26 bytes for each line in addition to its text.
const MAX_BATCH_BYTES: usize = 1_000_000;
/// Longer lines are truncated.
const MAX_LINE_BYTES: usize = 200_000;

/// The writing end of a build's log stream.
pub struct Log {
    lines: mpsc::Sender<Line>,
    lost: Arc<AtomicU64>,
}

/// The task that sends the lines; it ends after the last one when the [`Log`] is dropped.
pub type Writer = JoinHandle<()>;

/// Opens the stream of a build. `note` makes the report that is written where lines are missing.
pub fn open(cx: Arc<Context>, stream: String, note: impl Fn(ReportBody) -> Report + Send + 'static) -> (Log, Writer) {
    let (lines, waiting) = mpsc::channel(QUEUE_CAPACITY);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = BatchWriter { cx, stream, waiting, lost: Arc::clone(&lost) };
    (Log { lines, lost }, tokio::spawn(writer.run(note)))
}

impl Log {
    /// Writes a report. Never waits.
    pub fn write(&self, report: &Report) {
        if self.lines.try_send(line(report)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn line(report: &Report) -> Line {
    let text = match serde_json::to_string(report) {
        Ok(text) if text.len() <= MAX_LINE_BYTES => text,
        // The text is truncated, so that the line stays valid JSON.
        _ => {
            let mut cut = report.clone();
            if let ReportBody::Output { line, .. } | ReportBody::Note(line) = &mut cut.body {
                // Escaped, a byte of a line becomes up to six.
                let end = (0..=MAX_LINE_BYTES / 8).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
                line.truncate(end);
            }
            serde_json::to_string(&cut).unwrap_or_default()
        }
    };
    Line { at: report.at, text }
}

struct BatchWriter {
    cx: Arc<Context>,
    stream: String,
    waiting: mpsc::Receiver<Line>,
    lost: Arc<AtomicU64>,
}

impl BatchWriter {
    async fn run(mut self, note: impl Fn(ReportBody) -> Report) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(line) => line,
                None => match self.waiting.recv().await {
                    Some(line) => line,
                    None => return,
                },
            };
            let mut bytes = first.text.len() + 26;
            let mut lines = vec![first];
            let end = Instant::now() + BATCH_DELAY;
            while lines.len() < MAX_BATCH_LINES {
                let Ok(Some(line)) = time::timeout_at(end, self.waiting.recv()).await else { break };
                bytes += line.text.len() + 26;
                if bytes > MAX_BATCH_BYTES {
                    next = Some(line);
                    break;
                }
                lines.push(line);
            }
            // CloudWatch Logs accepts lines in order only, and the clock may be set back.
            lines.sort_by_key(|line| line.at);
            if !self.send(&lines).await {
                self.lost.fetch_add(lines.len() as u64, Ordering::Relaxed);
                continue;
            }
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let note =
                    note(ReportBody::Note(format!("{lost} lines are missing here: they could not be sent to the log")));
                if !self.send(&[line(&note)]).await {
                    self.lost.fetch_add(lost, Ordering::Relaxed);
                }
            }
        }
    }

    async fn send(&self, lines: &[Line]) -> bool {
        let mut wait = Duration::from_secs(1);
        for left in (0..MAX_ATTEMPTS).rev() {
            match self.cx.logs.put(&self.stream, lines).await {
                Ok(()) => return true,
                Err(fault) if left == 0 => {
                    tracing::warn!(stream = self.stream, lines = lines.len(), %fault, "lines of a build's log lost")
                }
                Err(_) => {
                    time::sleep(wait).await;
                    wait *= 2;
                }
            }
        }
        false
    }
}
