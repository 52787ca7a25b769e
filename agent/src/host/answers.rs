//! The pipe from which the worker reads the answers of a person, one a line.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use bakehouse_protocol::Answer;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags},
};

use super::process::poll_with_timeout;

/// The answers of a person.
pub(super) struct Answers {
    pipe: OwnedFd,
    /// What was read and not returned yet.
    buffer: RefCell<Vec<u8>>,
}

impl Answers {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { pipe, buffer: RefCell::default() })
    }

    /// Discards what has arrived.
    pub(super) fn discard(&self) -> io::Result<()> {
        while self.read()? == Some(true) {}
        self.buffer.borrow_mut().clear();
        Ok(())
    }

    /// Waits for an answer; returns `None` if `cancel` becomes readable or the time is over before.
    pub(super) fn wait(&self, cancel: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<Option<Answer>> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(answer) = self.take() {
                return Ok(Some(answer));
            }
            let rest = end.map(|end| end.saturating_duration_since(Instant::now()));
            if rest == Some(Duration::ZERO) {
                return Ok(None);
            }
            let mut fds = [PollFd::new(cancel, PollFlags::POLLIN), PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            poll_with_timeout(&mut fds, rest)?;
            if fds[0].any().unwrap_or(true) || self.read()?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Returns the next line that is an answer.
    fn take(&self) -> Option<Answer> {
        let mut buffer = self.buffer.borrow_mut();
        while let Some(end) = buffer.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            if let Ok(answer) = String::from_utf8_lossy(line.trim_ascii()).parse() {
                return Some(answer);
            }
        }
        None
    }

    /// Reads what is there. Returns whether anything was; `None` at the end of the pipe.
    fn read(&self) -> io::Result<Option<bool>> {
        let mut chunk = [0; 256];
        match nix::unistd::read(&self.pipe, &mut chunk) {
            Ok(0) => Ok(None),
            Ok(n) => {
                self.buffer.borrow_mut().extend_from_slice(&chunk[..n]);
                Ok(Some(true))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Some(false)),
            Err(error) => Err(error.into()),
        }
    }
}
