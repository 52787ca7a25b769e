//! What the values of a template are rendered with.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{context::Context, diagnostic::Diagnostics, external::External, language::Language};

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
    /// Where values of other services come from.
    pub(crate) external: Option<&'a dyn External>,
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
    /// Values of other services, which must be masked.
    secrets: RefCell<BTreeSet<String>>,
    /// How many bytes have been rendered.
    rendered: Cell<usize>,
}

impl Usage {
    /// Returns the index of the next two random numbers.
    pub(crate) fn next_randoms(&self) -> u64 {
        let index = self.randoms.get();
        self.randoms.set(index.wrapping_add(2));
        index
    }

    pub(crate) fn record_environment(&self, variable: &str) {
        self.environment.borrow_mut().insert(variable.to_owned());
    }

    pub(crate) fn record_file(&self, path: &Path) {
        self.files.borrow_mut().insert(path.to_owned());
    }

    pub(crate) fn record_secret(&self, value: &str) {
        if !value.is_empty() {
            self.secrets.borrow_mut().insert(value.to_owned());
        }
    }

    /// Returns the values of other services.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.secrets.borrow().iter().cloned().collect()
    }

    /// Adds to the number of bytes that have been rendered, and returns it.
    pub(crate) fn count_rendered(&self, bytes: usize) -> usize {
        let sum = self.rendered.get().saturating_add(bytes);
        self.rendered.set(sum);
        sum
    }

    /// Returns the names of the environment variables, and the paths of the files.
    pub(crate) fn into_parts(self) -> (BTreeSet<String>, BTreeSet<PathBuf>) {
        (self.environment.into_inner(), self.files.into_inner())
    }
}
