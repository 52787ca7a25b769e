//! Go's `text/template` as Packer templates use it: a parser whose nodes and errors have byte spans, an evaluator
//! without clock, environment or randomness (the caller's [`Scope`] provides functions and data), Packer's pure
//! functions ([`functions`]), and the rendering of templates while a build runs ([`deferred`]).
//!
//! Supported: text, `{{ }}` with trim markers, comments, fields, pipelines, calls, string, raw string, character,
//! integer and bool literals, `nil`, parentheses, variables, `if`, `range`, `with` and their `else`, and Go's built-ins
//! of [`BUILTINS`]. Not supported, and rejected by name when parsing: `define`, `template`, `block`, `break`,
//! `continue`, floating-point and complex numbers, `call`, `html`, `js`, `slice`, `urlquery`.
//!
//! The semantics are those of Go's documentation of `text/template` and `fmt`; where Go would print an error marker
//! such as `%!d(string=x)`, this engine returns an error.

mod ast;
mod builtins;
pub mod deferred;
pub mod duration;
mod error;
mod eval;
mod fold;
pub mod functions;
mod inspect;
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
pub use literal::{parse_integer, quote};
pub use span::Span;
pub use template::{MAX_ROUNDS, Template, UnstableError, render_until_stable};
pub use value::Value;
