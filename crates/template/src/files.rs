//! Files that a template names: relative to the working directory, as with Packer, and there.

use bakehouse_protocol::spec::SourceFile;

use crate::{
    diagnostic::{Diagnostic, Notes},
    load::Context,
    tree::At,
};

/// A file (or, if allowed, a directory) of the build host that must exist.
pub(crate) fn existing(
    written: &At<String>,
    what: &str,
    directories: bool,
    context: &Context,
    notes: &Notes,
) -> Option<SourceFile> {
    let working_directory = &context.working_directory;
    let path = working_directory.join(&written.value);
    let complain = |message: String, label: &str| {
        notes.add(
            Diagnostic::error(&written.place, message)
                .label(label)
                .help(format!("Paths are relative to the working directory, {}", working_directory.display())),
        );
        None
    };
    if written.value.is_empty() {
        return complain(format!("{what} is empty"), "a path is needed");
    }
    match context.on_disk(&path).metadata() {
        Err(error) => complain(format!("{what} {} cannot be used: {error}", written.value), "this file"),
        Ok(found) if found.is_dir() && !directories => {
            complain(format!("{what} {} is a directory", written.value), "a file is needed")
        }
        Ok(_) => Some(SourceFile { written: written.value.clone(), path: path.to_string_lossy().into_owned() }),
    }
}
