//! One step while its options are checked.

use crate::{diagnostic::Diagnostic, inputs::Inputs, options::Values, source::Place};

/// One step's options and where to say what is wrong with them.
pub(super) struct Step<'a> {
    pub(super) values: &'a Values,
    pub(super) inputs: &'a Inputs<'a>,
}

impl Step<'_> {
    pub(super) fn error(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.inputs.notes.add(Diagnostic::error(place, message).help(help));
    }
}
