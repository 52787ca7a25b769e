//! Writes reports.

use std::{cell::RefCell, io::Write};

use bakehouse_protocol::{BuildId, HostId, Report, ReportBody, Timestamp, VERSION};

/// Writes reports as JSON, one a line.
pub(crate) struct Reporter<W> {
    build: BuildId,
    host: HostId,
    attempt: u32,
    out: RefCell<W>,
}

impl<W: Write> Reporter<W> {
    pub(crate) fn new(build: BuildId, host: HostId, attempt: u32, out: W) -> Self {
        Self { build, host, attempt, out: RefCell::new(out) }
    }

    /// Writes a report. Errors are ignored: if nobody reads the reports any more, the job is cancelled by the end of
    /// its input, and still cleans up.
    pub(crate) fn report(&self, at: Timestamp, body: ReportBody) {
        let (build, host, attempt) = (self.build.clone(), self.host.clone(), self.attempt);
        let report = Report { version: VERSION, build, host, attempt, at, body };
        if let Ok(mut line) = serde_json::to_vec(&report) {
            line.push(b'\n');
            let _ = self.out.borrow_mut().write_all(&line);
        }
    }
}
