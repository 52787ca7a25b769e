//! What the keeper listens to: its input, and the worker's reports.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use bakehouse_protocol::{AgentPhase, Outcome, Report, ReportBody};
use nix::errno::Errno;

/// The input after its first line.
#[derive(Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    ended: bool,
}

impl Input {
    /// Waits for the first line; what comes after it is kept.
    pub(crate) fn first_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return String::from_utf8(line).map_err(io::Error::other);
            }
            if self.ended {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the input ended before the job was told"));
            }
            self.read()?;
        }
    }

    pub(crate) fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        match nix::unistd::read(io::stdin(), &mut chunk) {
            Ok(0) => self.ended = true,
            Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    pub(crate) fn says_cancel(&self) -> bool {
        self.ended || self.buffer.split(|&b| b == b'\n').any(|line| line.trim_ascii() == b"cancel")
    }
}

/// What the worker has said.
#[derive(Default)]
pub(crate) struct WorkerReports {
    raw: Vec<u8>,
    pub(crate) ended: Option<Outcome>,
    pub(crate) phase: Option<AgentPhase>,
    pub(crate) provisioner: Option<u32>,
}

impl WorkerReports {
    /// Passes on what there is to read, except for the end, which is said last. `false` when the worker has gone.
    pub(crate) fn read(&mut self, reports: &mut File) -> io::Result<bool> {
        let mut chunk = [0; 64 * 1024];
        let n = match reports.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        self.raw.extend_from_slice(&chunk[..n]);
        let Some(end) = self.raw.iter().rposition(|&b| b == b'\n') else {
            return Ok(true);
        };
        let rest = self.raw.split_off(end + 1);
        let whole = std::mem::replace(&mut self.raw, rest);
        let mut pass_on = Vec::with_capacity(whole.len());
        for line in whole.split_inclusive(|&b| b == b'\n') {
            if !self.keep(line) {
                pass_on.extend_from_slice(line);
            }
        }
        // That nobody listens any more shows as the end of the input.
        let _ = io::stdout().write_all(&pass_on).and_then(|()| io::stdout().flush());
        Ok(true)
    }

    /// Looks at a report; whether it is not to be passed on yet.
    fn keep(&mut self, line: &[u8]) -> bool {
        // Most lines are output, and none of our business.
        if line.windows(10).any(|part| part == b"{\"output\":") {
            return false;
        }
        match serde_json::from_slice::<Report>(line).map(|report| report.body) {
            Ok(ReportBody::Ended(outcome)) => {
                self.ended = Some(outcome);
                return true;
            }
            Ok(ReportBody::Phase(phase)) => (self.phase, self.provisioner) = (Some(phase), None),
            Ok(ReportBody::Provisioner { index, .. }) => self.provisioner = Some(index),
            _ => {}
        }
        false
    }
}
