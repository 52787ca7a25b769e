//! What the supervisor reads: its standard input, and the worker's reports.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use bakehouse_protocol::{AgentPhase, Answer, Outcome, Report, ReportBody};
use nix::errno::Errno;

/// The supervisor's standard input: the job on the first line, then answers ([`Answer`]) and perhaps `cancel`.
#[derive(Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    ended: bool,
}

impl Input {
    /// Waits for the first line and returns it.
    pub(crate) fn first_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return String::from_utf8(line).map_err(io::Error::other);
            }
            if self.ended {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the input ended before the first line was complete",
                ));
            }
            self.read()?;
        }
    }

    /// Reads what is there, and waits if nothing is.
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

    /// Whether the input has ended or has a line `cancel`.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.ended || self.buffer.split(|&b| b == b'\n').any(|line| line.trim_ascii() == b"cancel")
    }

    /// Takes the answers that have arrived. Other lines stay.
    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut rest = Vec::new();
        for line in self.buffer.split_inclusive(|&b| b == b'\n') {
            let text = line.strip_suffix(b"\n").map(|line| String::from_utf8_lossy(line.trim_ascii()));
            match text.and_then(|text| text.parse().ok()) {
                Some(answer) => answers.push(answer),
                None => rest.extend_from_slice(line),
            }
        }
        self.buffer = rest;
        answers
    }
}

/// The worker's reports, as far as they matter to the supervisor: the outcome, and the last phase and step that began.
#[derive(Default)]
pub(crate) struct WorkerReports {
    /// What was read of the next line.
    partial: Vec<u8>,
    pub(crate) ended: Option<Outcome>,
    pub(crate) phase: Option<AgentPhase>,
    pub(crate) provisioner: Option<u32>,
}

impl WorkerReports {
    /// Reads reports and writes them to the standard output, except for the outcome, which the supervisor reports
    /// itself. Returns `false` at the end of the pipe.
    pub(crate) fn pass_on(&mut self, pipe: &mut File) -> io::Result<bool> {
        let mut chunk = [0; 64 * 1024];
        let n = match pipe.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        self.partial.extend_from_slice(&chunk[..n]);
        let Some(end) = self.partial.iter().rposition(|&b| b == b'\n') else {
            return Ok(true);
        };
        let rest = self.partial.split_off(end + 1);
        let lines = std::mem::replace(&mut self.partial, rest);
        let mut output = Vec::with_capacity(lines.len());
        for line in lines.split_inclusive(|&b| b == b'\n') {
            if !self.is_outcome(line) {
                output.extend_from_slice(line);
            }
        }
        // An error here means that the parent is gone: that is handled as the end of the input.
        let _ = io::stdout().write_all(&output).and_then(|()| io::stdout().flush());
        Ok(true)
    }

    /// Records what a report says. Returns whether it is the outcome.
    fn is_outcome(&mut self, line: &[u8]) -> bool {
        // Most reports are lines of output and say nothing that matters here: they are not parsed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_and_a_cancel_stays() {
        let mut input = Input { buffer: b"continue\nnonsense\nabort\ncancel\nret".to_vec(), ended: false };
        assert_eq!(input.take_answers(), [Answer::Continue, Answer::Abort]);
        assert!(input.is_cancelled() && input.take_answers().is_empty());
        input.buffer.extend_from_slice(b"ry\n");
        assert_eq!(input.take_answers(), [Answer::Retry]);
    }
}
