//! The agent on a persistent host: takes jobs from the host's queue, runs each as a process of its own
//! (`bakehouse_agent`), and says what comes of it.
//!
//! Begin with [`work`]: one job from its message to the end that the inbox has taken. [`job_table`] decides, purely, what is
//! to be done with a message; [`daemon`] is the main loop around both, and the way out. What must outlive the daemon is
//! in [`journal`]: a job is written down before it starts and its end before it is said, so that after a `kill -9` the
//! next life says `Lost` of what was cut off, with a proof if the volume is free all the same.
//!
//! All that is outside comes through [`ports`]; [`aws`] and [`runner`] are the real ones.

pub mod admission;
pub mod aws;
pub mod check;
pub mod clock;
pub mod context;
pub mod daemon;
pub mod host;
pub mod host_reports;
pub mod job_table;
pub mod journal;
pub mod logs;
pub mod notify;
pub mod outbox;
pub mod ports;
pub mod queue_poller;
pub mod runner;
pub mod settings;
pub mod start;
pub mod work;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;
