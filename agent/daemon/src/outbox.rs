//! Sends a job's reports: all to its log, and those that the controller needs to the inbox, in order. The job never
//! waits for either.

use std::{sync::Arc, time::Duration};

use bakehouse_protocol::{InboxMessage, Outcome, Report, ReportBody, VERSION};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use crate::{
    context::Context,
    journal::JobIds,
    logs::{self, Log, Writer},
};

/// How often sending a report is tried. The final report is tried until it is sent.
const MAX_ATTEMPTS: u32 = 3;
/// The longest interval between attempts.
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Sends the reports of one job.
pub struct Outbox {
    cx: Arc<Context>,
    ids: JobIds,
    log: Log,
    writer: Writer,
    inbox: mpsc::UnboundedSender<Outgoing>,
}

enum Outgoing {
    Report(Report),
    Final(Report, oneshot::Sender<()>),
}

/// Returns a report on a job, with the present time.
pub fn report(cx: &Context, ids: &JobIds, body: ReportBody) -> Report {
    let (build, host) = (ids.build.clone(), cx.host.id.clone());
    Report { version: VERSION, build, host, attempt: ids.attempt, at: cx.clock.now(), body }
}

impl Outbox {
    /// Opens the outbox of a job.
    pub fn open(cx: Arc<Context>, ids: JobIds) -> Self {
        let (note_cx, note_ids) = (Arc::clone(&cx), ids.clone());
        let note = move |body| report(&note_cx, &note_ids, body);
        let (log, writer) = logs::open(Arc::clone(&cx), ids.build.to_string(), note);
        let (inbox, waiting) = mpsc::unbounded_channel();
        tokio::spawn(send_all(Arc::clone(&cx), waiting));
        Self { cx, ids, log, writer, inbox }
    }

    /// Sends a report. The final one is sent by [`Self::end`].
    pub fn send(&self, report: Report) {
        self.log.write(&report);
        match report.body {
            // Nobody can answer the jobs of a daemon, so none waits.
            ReportBody::Output { .. } | ReportBody::Note(_) | ReportBody::Waiting(_) | ReportBody::Ended(_) => {}
            ReportBody::Phase(_) | ReportBody::Provisioner { .. } | ReportBody::Heartbeat => {
                let _ = self.inbox.send(Outgoing::Report(report));
            }
        }
    }

    /// Sends a note of the daemon itself.
    pub fn note(&self, text: impl Into<String>) {
        self.send(report(&self.cx, &self.ids, ReportBody::Note(text.into())));
    }

    /// Sends how the job ended and waits until the inbox has it. Returns the task that still writes to the log.
    pub async fn end(self, outcome: Outcome) -> Writer {
        let last = report(&self.cx, &self.ids, ReportBody::Ended(outcome));
        self.log.write(&last);
        let (done, taken) = oneshot::channel();
        let _ = self.inbox.send(Outgoing::Final(last, done));
        let _ = taken.await;
        self.writer
    }
}

async fn send_all(cx: Arc<Context>, mut waiting: mpsc::UnboundedReceiver<Outgoing>) {
    while let Some(out) = waiting.recv().await {
        match out {
            // A heartbeat is superfluous while other reports are queued.
            Outgoing::Report(report) if report.body == ReportBody::Heartbeat && !waiting.is_empty() => {}
            Outgoing::Report(report) => send(&cx, report, MAX_ATTEMPTS).await,
            Outgoing::Final(report, done) => {
                send(&cx, report, u32::MAX).await;
                let _ = done.send(());
            }
        }
    }
}

async fn send(cx: &Context, report: Report, attempts: u32) {
    let name = report.build.clone();
    let message = InboxMessage::Report { report };
    let mut wait = Duration::from_secs(1);
    for left in (0..attempts).rev() {
        match cx.inbox.send(&message).await {
            Ok(()) => return,
            Err(fault) => tracing::warn!(job = %name, %fault, "can't send a report"),
        }
        if left > 0 {
            time::sleep(wait).await;
            wait = (wait * 2).min(MAX_RETRY_INTERVAL);
        }
    }
}
