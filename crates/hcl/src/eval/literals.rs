//! Expressions without names and functions: values from the command line, and types.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use hcl_edit::expr::Expression;
use jiff::Timestamp;

use super::evaluator::Evaluator;
use crate::{
    budget::Budget,
    error::Error,
    scope::{DirectoryEntry, FileKind, Outside, Scope},
    types::{self, Type},
    value::Value,
};

/// Returns the value of an expression in which no name can be used and no function called, as Packer reads
/// `-var 'l=["a"]'`.
///
/// # Errors
/// Those of [`Evaluator::evaluate`].
pub fn evaluate_literal(expression: &Expression) -> Result<Value, Error> {
    Evaluator::new(&Nothing, &Nothing, &Budget::default()).without_built_in_functions().evaluate(expression)
}

/// Reads a type: `list(string)`, `object({ name = string, size = optional(number, 8) })`.
///
/// # Errors
/// What is no type, or a default of `optional` that is not of its type.
pub fn parse_type(expression: &Expression) -> Result<Type, Error> {
    types::parse_type(expression, &evaluate_literal)
}

/// No names and no outside.
struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: &str) -> Option<Cow<'_, Value>> {
        None
    }

    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    fn missing(&self, path: &[&str]) -> Option<(String, Option<String>)> {
        let name = path.join(".");
        Some((
            format!("{name} cannot be used here"),
            Some(format!("Write a literal value; a string is in quotes: \"{name}\".")),
        ))
    }
}

/// Nothing of this is ever asked for, as there are no functions.
impl Outside for Nothing {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn random(&self, _: &mut [u8]) {}

    fn working_directory(&self) -> &Path {
        Path::new("/")
    }

    fn template_directory(&self) -> &Path {
        Path::new("/")
    }

    fn home_directory(&self) -> Option<PathBuf> {
        None
    }

    fn read_file(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn file_kind(&self, _: &Path) -> io::Result<FileKind> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn list_directory(&self, _: &Path) -> io::Result<Vec<DirectoryEntry>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn call(&self, _: &str, _: &[Value]) -> Option<Result<Value, String>> {
        None
    }

    fn function_names(&self) -> &[&str] {
        &[]
    }
}
