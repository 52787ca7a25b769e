//! All functions, by name.

use super::{function::Function, strings};

const TABLES: [&[Function]; 1] = [strings::FUNCTIONS];

/// Returns the function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// The names of the functions of this crate, but for `try`, `can`, `convert` and `templatefile`.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.name)
}

fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.into_iter().flatten()
}
