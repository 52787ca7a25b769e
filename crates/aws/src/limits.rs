//! How long we wait and how often we try: for every service.
//!
//! - **Connecting** takes a few round trips. 3 s leave room for one lost SYN, which the kernel repeats after one
//!   second.
//! - **One try** is over after 10 s. EC2 answers within a second, for long lists within a few; what has not come by
//!   then is not coming.
//! - **One call**, tries and pauses together, is over after 30 s: three tries at their limit, less than the time that
//!   the Lambda and a lease of the work give.
//! - **Three tries**, by the SDK's standard mode: time-outs, 5xx and throttles, with pauses that grow. What is
//!   throttled longer than that is not for us to sit out: the build is paused, and the invocation goes on with others.
//! - **One try only** where a repetition could make a thing twice (`controller/aws/src/ec2/retries.rs`).

use std::time::Duration;

use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};

/// The limits of all calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// One try.
    pub attempt: Duration,
    /// All tries of one call and the pauses between them.
    pub operation: Duration,
    /// How many tries.
    pub attempts: u32,
    /// The longest pause after the first try; each further one may be twice as long. Its length is drawn at random.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(10),
            operation: Duration::from_secs(30),
            attempts: 3,
            pause: Duration::from_secs(1),
        }
    }
}

impl Limits {
    /// For the SDK.
    pub fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }

    /// For the SDK.
    pub fn retries(&self) -> RetryConfig {
        RetryConfig::standard().with_max_attempts(self.attempts).with_initial_backoff(self.pause)
    }
}
