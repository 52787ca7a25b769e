//! What an expression may ask for: names and the outside.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::value::Value;

/// The names that an expression can refer to.
pub trait Scope {
    /// Returns the value of a root name: `var`, `local`, `build`, an iterator. Lent if possible, as of large maps
    /// mostly one element is used.
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// Returns the root names, for the suggestion when one is misspelled.
    fn names(&self) -> Vec<&str>;

    /// Returns what to say of a name that does not exist, if something better is known than that there is none and
    /// which name is near: the first is the message, the second what to write. `path` is the root name, then the
    /// attributes up to the unknown one: `["local", "x"]`.
    fn missing(&self, path: &[&str]) -> Option<(String, Option<String>)> {
        let _ = path;
        None
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, a socket or a pipe.
    Other,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its name, without the directory.
    pub name: String,
    /// What it is; of a symbolic link, what it leads to.
    pub kind: FileKind,
}

/// What functions need of the machine and the network. Paths are absolute.
pub trait Outside {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Fills the buffer with random bytes fit for keys.
    fn random(&self, buffer: &mut [u8]);

    /// The directory that `filebase64` and `abspath` are relative to; absolute.
    fn working_directory(&self) -> &Path;

    /// The directory that `file`, `fileexists`, `fileset` and `templatefile` are relative to: the template's; absolute.
    fn template_directory(&self) -> &Path;

    /// The home directory of the user; `None` if it is unknown.
    fn home_directory(&self) -> Option<PathBuf>;

    /// Reads a file.
    ///
    /// # Errors
    /// Those of the system, and that the file is too large.
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns what a path leads to, through symbolic links.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::NotFound`] if there is nothing.
    fn file_kind(&self, path: &Path) -> io::Result<FileKind>;

    /// Returns the entries of a directory, in any order.
    ///
    /// # Errors
    /// Those of the system.
    fn list_directory(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>>;

    /// Calls one of the functions that are not [built in](crate::functions): `vault`, `env`. `None` if there is none of
    /// this name.
    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>>;

    /// The names of the functions of [`call`](Self::call), for the suggestion when one is misspelled.
    fn function_names(&self) -> &[&str];
}
