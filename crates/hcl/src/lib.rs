//! HCL2 as Packer 1.16 evaluates it, without knowledge of Packer's blocks.
//!
//! A text becomes a syntax tree ([`parse_body`], [`parse_expression`], [`parse_template`]; the tree is that of
//! `hcl-edit`, with the place of everything). An [`Evaluator`] turns an expression of it into a [`Value`], asking the
//! caller's [`Scope`] for names and the caller's [`Outside`] for the time, randomness, files and functions of the
//! network: this crate has neither clock, environment nor files of its own. A [`Budget`] limits the work.
//! [`references`] tells what an expression depends on, [`Type`] converts values, [`format()`] is `packer fmt`.
//!
//! The rules are those of HCL's specification (`hclsyntax/spec.md`) and of the functions that Packer gives to it. Where
//! this crate is more lenient than HCL, it says so: it does not know a list from a tuple or set, nor a map from an
//! object, so that two collections may be equal, or be the results of one condition, that are not in HCL.

mod budget;
mod check;
mod directives;
mod error;
mod eval;
mod format;
pub mod functions;
mod lex;
mod nearest;
mod number;
mod parse;
mod references;
mod scope;
mod span;
mod types;
mod value;
mod whitespace;

pub use budget::{Budget, MAX_VALUE_DEPTH};
pub use check::MAX_BYTES;
pub use error::{Error, SyntaxError};
pub use eval::{Evaluator, evaluate_literal, parse_type};
pub use format::format;
pub use nearest::nearest;
pub use number::Number;
pub use parse::{parse_body, parse_expression, parse_template};
pub use references::{Reference, references, template_references};
pub use scope::{DirectoryEntry, FileKind, Outside, Scope};
pub use types::{Attribute, ConvertError, Type};
pub use value::Value;

pub use hcl_edit;
