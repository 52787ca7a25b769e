//! Why a job stops early, and the faults that make it.

use std::{error::Error, fmt::Write, io};

use bakehouse_protocol::{AgentPhase, Failure, Outcome, Proof, chain};

/// Something that went wrong: what was being done, to what, and why it did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// The kernel refused.
    #[error("{doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    /// Another error.
    #[error("{doing}")]
    Other {
        doing: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nothing was refused, but it is wrong.
    #[error("{message}")]
    Wrong { message: String, hint: Option<String> },
    /// A command or script did not end well.
    #[error("{message}")]
    Step { message: String, tail: Vec<String>, hint: Option<String> },
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl JobError {
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong { message: message.into(), hint: None }
    }

    pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Wrong { message: message.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn other(doing: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Other { doing: doing.into(), source: Box::new(source) }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Wrong { hint, .. } | Self::Step { hint, .. } => hint.clone(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("the image's file system is full: set a larger root_volume_size".to_owned())
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Some("the image's file system is read-only".to_owned())
            }
            _ => None,
        }
    }
}

/// Says what was being done when the kernel refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, JobError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, JobError> {
        self.map_err(|error| JobError::Io { doing: what(), source: error.into() })
    }
}

/// A job that stops early; what there was has been undone as far as `proof` says.
#[derive(Debug)]
pub(crate) struct EarlyEnd {
    /// Why; `None`: it was cancelled.
    why: Option<Box<Failure>>,
    proof: Option<Box<Proof>>,
}

impl EarlyEnd {
    pub(crate) fn new(phase: AgentPhase, provisioner: Option<u32>, fault: JobError) -> Self {
        let (message, hint) = (chain(&fault), fault.hint());
        let tail = match fault {
            JobError::Cancelled => {
                return Self { why: None, proof: None };
            }
            JobError::Step { tail, .. } => tail,
            _ => Vec::new(),
        };
        let why = Some(Box::new(Failure { phase, provisioner, message, tail, hint }));
        Self { why, proof: None }
    }

    /// Adds that the volume is free.
    pub(crate) fn with(self, proof: Proof) -> Self {
        Self { proof: Some(Box::new(proof)), ..self }
    }

    /// Adds what went wrong on the way out. The first reason stays first.
    pub(crate) fn and(mut self, phase: AgentPhase, fault: JobError) -> Self {
        let then = chain(&fault);
        match &mut self.why {
            Some(failure) => {
                let _ = write!(failure.message, "; then, in phase {phase}: {then}");
            }
            None => self.why = Self::new(phase, None, fault).why,
        }
        self
    }
}

impl From<EarlyEnd> for Outcome {
    fn from(EarlyEnd { why, proof }: EarlyEnd) -> Self {
        let proof = proof.map(|proof| *proof);
        match why {
            Some(failure) => Self::Failed { failure: *failure, proof },
            None => Self::Cancelled { proof },
        }
    }
}
