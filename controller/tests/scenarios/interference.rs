//! The one fault of a run.

use bakehouse_protocol::Millis;

/// The fault, beyond those of the script itself.
#[derive(Clone, Debug, Default)]
pub struct Interference {
    /// The process dies before or after this operation (counted from 0) on a port.
    pub crash: Option<(usize, When)>,
    /// This call to EC2 (counted from 0) fails.
    pub call: Option<(usize, Fails)>,
    /// This message (counted from 0) fares badly.
    pub message: Option<(usize, Fate)>,
    /// Every message is delivered twice.
    pub all_twice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    Before,
    After,
}

/// How a call fails.
#[derive(Clone, Copy, Debug)]
pub struct Fails {
    pub code: &'static str,
    pub message: &'static str,
    /// Whether EC2 has done it all the same: only the answer is lost.
    pub performed: bool,
    /// Whether the build must end as it would have without.
    pub harmless: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Twice,
    Late(Millis),
    Lost,
}

/// What is thrown where the process dies.
pub struct Crash;
