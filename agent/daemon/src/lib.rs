//! The agent on a persistent host: takes jobs from the host's queue, runs each as a process of its own
//! (`bakehouse_agent`), and reports the result.
//!
//! Start with [`work`]: one job from its message until its end is in the inbox. [`job_table`] decides what to do with a
//! message (pure); [`daemon`] is the main loop around both, with the shutdown. [`journal`] saves a job before it starts
//! and its end before it is reported, so that after a `kill -9` the next run reports jobs that were cut off as `Lost`,
//! with a proof if the volume is free.
//!
//! Everything outside is behind [`ports`]; [`aws`] and [`runner`] are the real adapters.

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
