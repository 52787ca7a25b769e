//! What the rules of all provisioners share.

use bakehouse_protocol::spec::SourceFile;

use crate::{
    diagnostic::Diagnostic,
    files::{self, Wanted},
    inputs::Inputs,
    options::Values,
    source::Location,
};

/// The options of one step, and where errors are reported.
pub(crate) struct Step<'a> {
    pub(crate) values: &'a Values,
    pub(crate) inputs: &'a Inputs<'a>,
}

impl Step<'_> {
    pub(super) fn error(&self, location: &Location, message: impl Into<String>, help: impl Into<String>) {
        self.inputs.diagnostics.add(Diagnostic::error(location, message).help(help));
    }

    pub(super) fn warning(&self, location: &Location, message: impl Into<String>, help: impl Into<String>) {
        self.inputs.diagnostics.add(Diagnostic::warning(location, message).help(help));
    }

    pub(super) fn text(&self, option: &str) -> Option<String> {
        self.values.string(option).map(|text| text.value)
    }

    pub(super) fn texts(&self, option: &str) -> Vec<String> {
        self.values.string_list(option).unwrap_or_default().into_iter().map(|text| text.value).collect()
    }

    /// Returns the file or directory that an option names, `Ok(None)` if it names none.
    ///
    /// # Errors
    /// It can't be used, which has been reported.
    pub(super) fn source_file(&self, option: &str, wanted: Wanted) -> Result<Option<SourceFile>, ()> {
        match self.values.string(option) {
            Some(path) => match files::check_exists(&path, &format!("`{option}`"), wanted, self.inputs) {
                Some(file) => Ok(Some(file)),
                None => Err(()),
            },
            None if self.values.is_invalid(option) => Err(()),
            None => Ok(None),
        }
    }

    /// Returns the files or directories that an option lists. `None` only after an error was reported.
    pub(super) fn source_files(&self, option: &str, wanted: Wanted) -> Option<Vec<SourceFile>> {
        if self.values.is_invalid(option) {
            return None;
        }
        let paths = self.values.string_list(option).unwrap_or_default();
        let what = format!("`{option}`");
        let found: Vec<Option<SourceFile>> =
            paths.iter().map(|path| files::check_exists(path, &what, wanted, self.inputs)).collect();
        found.into_iter().collect()
    }

    /// Returns a path in the image, which must be absolute.
    pub(super) fn path_in_image(&self, option: &str) -> Option<String> {
        let path = self.values.string(option)?;
        if !path.value.starts_with('/') {
            let message = format!("`{option}` \"{}\" is not an absolute path", path.value);
            self.error(&path.location, message, "Write a path in the image that starts with /.");
        }
        Some(path.value)
    }
}
