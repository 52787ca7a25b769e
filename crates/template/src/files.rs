//! Files of the build host: the template and its variable files, which are read, and the files that the template names,
//! which must exist. Paths are relative to the working directory, as with Packer.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use bakehouse_protocol::spec::SourceFile;

use crate::{diagnostic::Diagnostic, inputs::Inputs, tree::Located};

/// The largest size of a template or a variable file, in bytes: reading one takes about forty times as much memory.
pub const MAX_BYTES: usize = 4 << 20;

/// Reads a file of at most [`MAX_BYTES`].
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // One byte more shows that the file is too large.
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    check_size(&text)?;
    Ok(text)
}

/// Checks that a text is not larger than [`MAX_BYTES`].
pub(crate) fn check_size(text: &str) -> io::Result<()> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", MAX_BYTES >> 20)))
}

/// What a path must lead to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    File,
    Directory,
    Either,
}

/// Checks that a file or directory of the build host exists.
pub(crate) fn check_exists(
    written: &Located<String>,
    what: &str,
    wanted: Wanted,
    inputs: &Inputs<'_>,
) -> Option<SourceFile> {
    let Inputs { context, diagnostics, .. } = inputs;
    let working_directory = &context.working_directory;
    let path = working_directory.join(&written.value);
    let error = |message: String, label: &str| {
        diagnostics.add(
            Diagnostic::error(&written.location, message)
                .label(label)
                .help(format!("Paths are relative to the working directory, {}", working_directory.display())),
        );
        None
    };
    if written.value.is_empty() {
        return error(format!("{what} is empty"), "a path is needed");
    }
    match context.on_disk(&path).metadata() {
        Err(why) => error(format!("{what} {} cannot be used: {why}", written.value), "this file"),
        Ok(found) if found.is_dir() && wanted == Wanted::File => {
            error(format!("{what} {} is a directory", written.value), "a file is needed")
        }
        Ok(found) if !found.is_dir() && wanted == Wanted::Directory => {
            error(format!("{what} {} is not a directory", written.value), "a directory is needed")
        }
        Ok(_) => Some(SourceFile { written: written.value.clone(), path: path.to_string_lossy().into_owned() }),
    }
}
