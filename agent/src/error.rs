//! The errors of a job, and how a job that is aborted because of one is reported.

use std::{error::Error, fmt::Write, io};

use bakehouse_protocol::{AgentPhase, Failure, Outcome, Proof, chain, spec::InvalidFormat};

/// Why a phase of a job failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// A system call failed.
    #[error("{operation}")]
    Io {
        operation: String,
        #[source]
        source: io::Error,
    },
    /// Another operation failed.
    #[error("{operation}")]
    Other {
        operation: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The job asks for something impossible, or the disk is not as it should be.
    #[error("{message}")]
    Invalid { message: String, hint: Option<String> },
    /// A command or script failed, timed out, or was killed. `tail` is the end of its output.
    #[error("{message}")]
    CommandFailed { message: String, tail: Vec<String>, hint: Option<String> },
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl JobError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn other(operation: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Other { operation: operation.into(), source: Box::new(source) }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { hint, .. } | Self::CommandFailed { hint, .. } => hint.clone(),
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

impl From<InvalidFormat> for JobError {
    fn from(error: InvalidFormat) -> Self {
        Self::with_hint(error.to_string(), InvalidFormat::HINT)
    }
}

/// Adds to a system call's error what was being done, and to what.
pub(crate) trait ErrorContext<T> {
    fn context(self, operation: impl FnOnce() -> String) -> Result<T, JobError>;
}

impl<T, E: Into<io::Error>> ErrorContext<T> for Result<T, E> {
    fn context(self, operation: impl FnOnce() -> String) -> Result<T, JobError> {
        self.map_err(|error| JobError::Io { operation: operation(), source: error.into() })
    }
}

/// A job that ended before its last phase. What its phases had set up has been undone; if that succeeded, there is a
/// proof that the volume is free.
#[derive(Debug)]
pub(crate) struct Aborted {
    /// Why; `None`: it was cancelled.
    failure: Option<Box<Failure>>,
    proof: Option<Box<Proof>>,
}

impl Aborted {
    pub(crate) fn new(phase: AgentPhase, provisioner: Option<u32>, error: JobError) -> Self {
        let (message, hint) = (chain(&error), error.hint());
        let tail = match error {
            JobError::Cancelled => {
                return Self { failure: None, proof: None };
            }
            JobError::CommandFailed { tail, .. } => tail,
            _ => Vec::new(),
        };
        let failure = Some(Box::new(Failure { phase, provisioner, message, tail, hint }));
        Self { failure, proof: None }
    }

    /// Adds the proof that the volume is free.
    pub(crate) fn with_proof(self, proof: Proof) -> Self {
        Self { proof: Some(Box::new(proof)), ..self }
    }

    /// Adds an error of the cleanup. The error that aborted the job stays first in the message.
    pub(crate) fn with_cleanup_error(mut self, phase: AgentPhase, error: JobError) -> Self {
        let then = chain(&error);
        match &mut self.failure {
            Some(failure) => {
                let _ = write!(failure.message, "; then, in phase {phase}: {then}");
            }
            None => self.failure = Self::new(phase, None, error).failure,
        }
        self
    }
}

impl From<Aborted> for Outcome {
    fn from(Aborted { failure, proof }: Aborted) -> Self {
        let proof = proof.map(|proof| *proof);
        match failure {
            Some(failure) => Self::Failed { failure: *failure, proof },
            None => Self::Cancelled { proof },
        }
    }
}
