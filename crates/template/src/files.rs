//! Files of the build host: the template and its variable files, which are read, and those that the template names, which
//! must exist. Paths are relative to the working directory, as with Packer.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use bakehouse_protocol::spec::SourceFile;

use crate::{diagnostic::Diagnostic, inputs::Inputs, tree::At};

/// How many bytes a template or a variable file has at most: reading one takes about forty times as much memory.
pub const LARGEST: usize = 4 << 20;

/// Reads a text, but not more of it than is taken.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // One byte more shows that there is more.
    File::open(path)?.take(LARGEST as u64 + 1).read_to_string(&mut text)?;
    check_size(&text)?;
    Ok(text)
}

/// Checks that a text is not larger than what is read of a file.
pub(crate) fn check_size(text: &str) -> io::Result<()> {
    if text.len() <= LARGEST {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", LARGEST >> 20)))
}

/// A file (or, if allowed, a directory) of the build host that must exist.
pub(crate) fn existing(written: &At<String>, what: &str, directories: bool, inputs: &Inputs<'_>) -> Option<SourceFile> {
    let Inputs { context, notes, .. } = inputs;
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
