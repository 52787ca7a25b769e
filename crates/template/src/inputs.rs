//! What the values of a template are rendered with.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{context::Context, diagnostic::Diagnostics, language::Language};

/// What the values of a template are rendered with, and where errors and warnings are collected.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) context: &'a Context,
    pub(crate) template_dir: &'a Path,
    pub(crate) language: Language,
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Variables that could not be read. Values that use them are not checked further, to avoid errors that follow from
    /// the first.
    pub(crate) invalid: &'a BTreeSet<String>,
    pub(crate) usage: &'a Usage,
    pub(crate) diagnostics: &'a Diagnostics,
}

/// What rendering has used of the context.
#[derive(Default)]
pub(crate) struct Usage {
    /// The number of random numbers.
    randoms: Cell<u64>,
    /// The names of the environment variables.
    environment: RefCell<BTreeSet<String>>,
    /// The files that were read, or whose existence was asked for; absolute paths.
    files: RefCell<BTreeSet<PathBuf>>,
}

impl Usage {
    /// Returns the index of the next random number.
    pub(crate) fn next_random(&self) -> u64 {
        let index = self.randoms.get();
        self.randoms.set(index.wrapping_add(1));
        index
    }

    pub(crate) fn record_environment(&self, variable: &str) {
        self.environment.borrow_mut().insert(variable.to_owned());
    }

    pub(crate) fn record_file(&self, path: &Path) {
        self.files.borrow_mut().insert(path.to_owned());
    }

    /// Returns the names of the environment variables, and the paths of the files.
    pub(crate) fn into_parts(self) -> (BTreeSet<String>, BTreeSet<PathBuf>) {
        (self.environment.into_inner(), self.files.into_inner())
    }
}
