//! What the values of a template are rendered with.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{context::Context, diagnostic::Notes};

/// What the values of a template are rendered with, and where reading it notes what it finds.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) context: &'a Context,
    pub(crate) template_dir: &'a Path,
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Variables that could not be read: what uses them is not looked at further, for it would only be wrong too.
    pub(crate) broken: &'a BTreeSet<String>,
    pub(crate) used: &'a Used,
    pub(crate) notes: &'a Notes,
}

/// What the templates have used of the context.
#[derive(Default)]
pub(crate) struct Used {
    /// How many random numbers.
    randoms: Cell<u64>,
    /// Which variables of the environment.
    environment: RefCell<BTreeSet<String>>,
}

impl Used {
    /// Returns the index of the next random number.
    pub(crate) fn next_random(&self) -> u64 {
        let index = self.randoms.get();
        self.randoms.set(index.wrapping_add(1));
        index
    }

    pub(crate) fn note_environment(&self, variable: &str) {
        self.environment.borrow_mut().insert(variable.to_owned());
    }

    pub(crate) fn into_environment(self) -> BTreeSet<String> {
        self.environment.into_inner()
    }
}
