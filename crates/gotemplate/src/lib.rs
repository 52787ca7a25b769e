//! Go's `text/template` as Packer templates use it: a parser whose every node and error has a byte span, an evaluator
//! without clock, environment or randomness (the caller's [`Scope`] gives functions and data), Packer's pure functions
//! ([`functions`]) and the text that is rendered while a build runs ([`late`]).
//!
//! Supported: text, `{{ }}` with trim markers, comments, fields, pipelines, calls, string, raw string, character, integer
//! and bool literals, `nil`, parentheses, variables, `if`, `range`, `with` and their `else`, and Go's built-ins of
//! [`BUILTINS`]. Not supported, and refused by name when parsing: `define`, `template`, `block`, `break`, `continue`,
//! floating-point and complex numbers, `call`, `html`, `js`, `slice`, `urlquery`.
//!
//! Semantics were read in Go's own documentation of `text/template` and `fmt`; where a template would make Go print
//! an error marker such as `%!d(string=x)`, this engine returns an error.

mod ast;
mod builtins;
mod eval;
mod fold;
pub mod functions;
mod inspect;
pub mod late;
pub mod layout;
mod lex;
mod literal;
mod parse;
mod printf;
mod template;
mod value;

pub use builtins::BUILTINS;
pub use eval::{CallError, RenderError, Scope};
pub use fold::{Constants, FoldError};
pub use inspect::{FieldUse, FunctionUse};
pub use literal::{integer, quote};
pub use template::{MAX_ROUNDS, Template, UnstableError, render_until_stable};
pub use value::Value;

/// A range of bytes in the template's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }

    /// As a range, for slicing.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// A template that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl ParseError {
    pub(crate) fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), span }
    }
}
