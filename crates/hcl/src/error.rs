//! What is wrong with a text, and where.

use std::ops::Range;

/// A text that is not HCL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Where, in bytes from the start of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Whether it is an attribute that is set for the second time in its body; `span` is its name then.
    pub is_redefinition: bool,
}

impl SyntaxError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Self {
        Self { span, message: message.into(), help, is_redefinition: false }
    }
}

/// An expression that has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The part of the expression that is at fault, in bytes from the start of the text that was parsed.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// What is wrong with an operation on values; who knows the place makes it an [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The argument at fault, counted from 0, if it is one of several.
    pub(crate) argument: Option<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { argument: None, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn argument(mut self, index: usize) -> Self {
        self.argument = Some(index);
        self
    }

    pub(crate) fn at(self, span: Range<usize>) -> Error {
        Error { span, message: self.message, help: self.help }
    }
}

impl<T: Into<String>> From<T> for Fault {
    fn from(message: T) -> Self {
        Self::new(message)
    }
}
