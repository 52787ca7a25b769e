//! What the rules of all provisioners share.

use crate::{diagnostic::Diagnostic, inputs::Inputs, options::Values, source::Location};

/// The options of one step, and where errors are reported.
pub(super) struct Step<'a> {
    pub(super) values: &'a Values,
    pub(super) inputs: &'a Inputs<'a>,
}

impl Step<'_> {
    pub(super) fn error(&self, location: &Location, message: impl Into<String>, help: impl Into<String>) {
        self.inputs.diagnostics.add(Diagnostic::error(location, message).help(help));
    }
}
