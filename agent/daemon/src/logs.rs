//! A build's log stream: every report of its job, a line of JSON each. Lines are sent together, every second or when
//! there are many. A job never waits for them: should they not be taken, they are dropped and counted.

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

/// So many lines are sent at once.
const MANY: usize = 100;
/// The longest that a line waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// So many lines may wait.
const WAITING: usize = 10_000;
/// How often lines are tried to be sent.
const TRIES: u32 = 3;
/// CloudWatch Logs takes 1 MiB at once, and counts 26 bytes for each line beside its text.
const MOST_BYTES: usize = 1_000_000;
/// A longer line is cut. No program writes such.
const LONGEST: usize = 200_000;

/// The writing end of a build's log stream.
pub struct Log {
    lines: mpsc::Sender<Line>,
    lost: Arc<AtomicU64>,
}

/// The task that sends the lines; it ends after the last one when the [`Log`] is dropped.
pub type Writer = JoinHandle<()>;

/// Opens the stream of a build. `note` makes a report of a text, to be written where lines are missing.
pub fn open(cx: Arc<Context>, stream: String, note: impl Fn(ReportBody) -> Report + Send + 'static) -> (Log, Writer) {
    let (lines, waiting) = mpsc::channel(WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let writing = Writing { cx, stream, waiting, lost: Arc::clone(&lost) };
    (Log { lines, lost }, tokio::spawn(writing.run(note)))
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
        Ok(text) if text.len() <= LONGEST => text,
        // Cut where it is longest, so that it stays JSON.
        _ => {
            let mut cut = report.clone();
            if let ReportBody::Output { line, .. } | ReportBody::Note(line) = &mut cut.body {
                // Escaped, a byte of a line becomes up to six.
                let end = (0..=LONGEST / 8).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
                line.truncate(end);
            }
            serde_json::to_string(&cut).unwrap_or_default()
        }
    };
    Line { at: report.at, text }
}

struct Writing {
    cx: Arc<Context>,
    stream: String,
    waiting: mpsc::Receiver<Line>,
    lost: Arc<AtomicU64>,
}

impl Writing {
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
            let end = Instant::now() + GATHER;
            while lines.len() < MANY {
                let Ok(Some(line)) = time::timeout_at(end, self.waiting.recv()).await else { break };
                bytes += line.text.len() + 26;
                if bytes > MOST_BYTES {
                    next = Some(line);
                    break;
                }
                lines.push(line);
            }
            // It takes them in order only, and a clock may be set back.
            lines.sort_by_key(|line| line.at);
            if !self.send(&lines).await {
                self.lost.fetch_add(lines.len() as u64, Ordering::Relaxed);
                continue;
            }
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let note = note(ReportBody::Note(format!("{lost} lines are missing here: the log did not take them")));
                if !self.send(&[line(&note)]).await {
                    self.lost.fetch_add(lost, Ordering::Relaxed);
                }
            }
        }
    }

    async fn send(&self, lines: &[Line]) -> bool {
        let mut wait = Duration::from_secs(1);
        for left in (0..TRIES).rev() {
            match self.cx.logs.put(&self.stream, lines).await {
                Ok(()) => return true,
                Err(fault) if left == 0 => {
                    tracing::warn!(stream = self.stream, lines = lines.len(), %fault, "lines of a build's log are lost")
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
