//! What a job says: all of it to its log, and what the controller needs to the inbox, in order and one at a time. The
//! job never waits for either.

use std::{sync::Arc, time::Duration};

use bakehouse_protocol::{InboxMessage, Outcome, Report, ReportBody, VERSION};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use crate::{
    context::Context,
    journal::Ids,
    logs::{self, Log, Writer},
};

/// How often a report that is not the last is tried to be sent.
const TRIES: u32 = 3;
/// The longest wait between two tries to send the last one.
const LONGEST: Duration = Duration::from_secs(30);

/// Where a job's reports go.
pub struct Outbox {
    cx: Arc<Context>,
    ids: Ids,
    log: Log,
    writer: Writer,
    inbox: mpsc::UnboundedSender<Out>,
}

enum Out {
    Report(Report),
    Last(Report, oneshot::Sender<()>),
}

/// A report on a job, said now.
pub fn report(cx: &Context, ids: &Ids, body: ReportBody) -> Report {
    let (build, host) = (ids.build.clone(), cx.host.id.clone());
    Report { version: VERSION, build, host, attempt: ids.attempt, at: cx.clock.now(), body }
}

impl Outbox {
    /// One for a job.
    pub fn open(cx: Arc<Context>, ids: Ids) -> Self {
        let (note_world, note_ids) = (Arc::clone(&cx), ids.clone());
        let note = move |body| report(&note_world, &note_ids, body);
        let (log, writer) = logs::open(Arc::clone(&cx), ids.build.to_string(), note);
        let (inbox, waiting) = mpsc::unbounded_channel();
        tokio::spawn(send_all(Arc::clone(&cx), waiting));
        Self { cx, ids, log, writer, inbox }
    }

    /// Passes a report on. Not the last one: that is [`Self::end`].
    pub fn say(&self, report: Report) {
        self.log.write(&report);
        match report.body {
            ReportBody::Output { .. } | ReportBody::Note(_) | ReportBody::Ended(_) => {}
            ReportBody::Phase(_) | ReportBody::Provisioner { .. } | ReportBody::Heartbeat => {
                let _ = self.inbox.send(Out::Report(report));
            }
        }
    }

    /// The same for something that the daemon itself has to say.
    pub fn note(&self, text: impl Into<String>) {
        self.say(report(&self.cx, &self.ids, ReportBody::Note(text.into())));
    }

    /// Says how the job ended, until the inbox has taken it; gives what still writes to the log.
    pub async fn end(self, outcome: Outcome) -> Writer {
        let last = report(&self.cx, &self.ids, ReportBody::Ended(outcome));
        self.log.write(&last);
        let (done, taken) = oneshot::channel();
        let _ = self.inbox.send(Out::Last(last, done));
        let _ = taken.await;
        self.writer
    }
}

async fn send_all(cx: Arc<Context>, mut waiting: mpsc::UnboundedReceiver<Out>) {
    while let Some(out) = waiting.recv().await {
        match out {
            // While others wait, a heartbeat says nothing that they don't.
            Out::Report(report) if report.body == ReportBody::Heartbeat && !waiting.is_empty() => {}
            Out::Report(report) => send(&cx, report, TRIES).await,
            Out::Last(report, done) => {
                send(&cx, report, u32::MAX).await;
                let _ = done.send(());
            }
        }
    }
}

async fn send(cx: &Context, report: Report, tries: u32) {
    let name = report.build.clone();
    let message = InboxMessage::Report { report };
    let mut wait = Duration::from_secs(1);
    for left in (0..tries).rev() {
        match cx.inbox.send(&message).await {
            Ok(()) => return,
            Err(fault) => tracing::warn!(job = %name, %fault, "sending a report failed"),
        }
        if left > 0 {
            time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
        }
    }
}
