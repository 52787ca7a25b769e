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
mod error;
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
mod span;
mod template;
mod value;

pub use builtins::BUILTINS;
pub use error::{ParseError, RenderError};
pub use eval::{CallError, Scope};
pub use fold::Constants;
pub use inspect::{FieldUse, FunctionUse};
pub use literal::{integer, quote};
pub use span::Span;
pub use template::{MAX_ROUNDS, Template, UnstableError, render_until_stable};
pub use value::Value;
