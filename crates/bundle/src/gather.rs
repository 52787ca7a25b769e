//! Collects the entries of a bundle from the disk, before anything is written.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use bakehouse_protocol::Bytes;

use crate::{
    entry::{Entry, EntryKind, PackError},
    limits::Limits,
    manifest::MANIFEST,
    path::{ancestors, path_in_bundle},
};

/// An entry, and where its content comes from.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) entry: Entry,
    pub(crate) content: Content,
    /// The file's device and inode.
    identity: (u64, u64),
    /// The file's path, for messages.
    original: PathBuf,
}

/// The content of an entry.
#[derive(Debug)]
pub(crate) enum Content {
    None,
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// The entries, by their paths in the bundle.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    entries: BTreeMap<String, Gathered>,
    bytes: u64,
}

/// How many of the largest files a message names.
const MAX_NAMED: usize = 5;

impl Entries {
    /// Adds a file whose content is given, such as a template from standard input.
    pub(crate) fn add_content(&mut self, path: &Path, content: &[u8], limits: &Limits) -> Result<(), PackError> {
        let entry = Entry { path: path_of(path)?, kind: EntryKind::File, size: content.len() as u64, mode: 0o644 };
        self.insert(entry, Content::Bytes(content.to_vec()), (0, 0), path, limits)
    }

    /// Adds a file or a directory that the template names. Links in its path are followed.
    pub(crate) fn add_path(&mut self, path: &Path, limits: &Limits) -> Result<(), PackError> {
        let meta = fs::metadata(path).map_err(|error| PackError::io("reading", path, error))?;
        let at = path_of(path)?;
        if meta.is_dir() {
            self.add_directory(path, &at, &meta, limits)
        } else {
            self.add_file(path, at, &meta, limits)
        }
    }

    fn add_file(&mut self, path: &Path, at: String, meta: &Metadata, limits: &Limits) -> Result<(), PackError> {
        let kind = meta.file_type();
        if !kind.is_file() {
            let what = match () {
                () if kind.is_fifo() => "a FIFO",
                () if kind.is_socket() => "a socket",
                () => "a device",
            };
            return Err(PackError::rejected(path, format!("it is {what}")));
        }
        if meta.mode() & 0o6000 != 0 {
            let why = "it is set-user-ID or set-group-ID: upload it without, and set the bit in a shell step";
            return Err(PackError::rejected(path, why));
        }
        let entry = Entry { path: at, kind: EntryKind::File, size: meta.len(), mode: meta.mode() & 0o777 };
        self.insert(entry, Content::File(path.to_owned()), (meta.dev(), meta.ino()), path, limits)
    }

    /// Adds a directory and everything in it. Links in it stay links.
    fn add_directory(&mut self, path: &Path, at: &str, meta: &Metadata, limits: &Limits) -> Result<(), PackError> {
        let entry = Entry { path: at.to_owned(), kind: EntryKind::Directory, size: 0, mode: meta.mode() & 0o1777 };
        self.insert(entry, Content::None, (meta.dev(), meta.ino()), path, limits)?;
        let reading = |error| PackError::io("reading the directory", path, error);
        for item in fs::read_dir(path).map_err(reading)? {
            let item = item.map_err(reading)?;
            let path = item.path();
            let Some(name) = item.file_name().to_str().map(str::to_owned) else {
                return Err(PackError::rejected(&path, "its name is not UTF-8"));
            };
            let at = format!("{at}/{name}");
            let meta = item.metadata().map_err(|error| PackError::io("reading", &path, error))?;
            if meta.is_dir() {
                self.add_directory(&path, &at, &meta, limits)?;
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).map_err(|error| PackError::io("reading the link", &path, error))?;
                let entry =
                    Entry { path: at, kind: EntryKind::Link(link_target(&path, &target)?), size: 0, mode: 0o777 };
                self.insert(entry, Content::None, (meta.dev(), meta.ino()), &path, limits)?;
            } else {
                self.add_file(&path, at, &meta, limits)?;
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        entry: Entry,
        content: Content,
        identity: (u64, u64),
        original: &Path,
        limits: &Limits,
    ) -> Result<(), PackError> {
        if let Some(existing) = self.entries.get(&entry.path) {
            // A link in an uploaded directory may also be named by itself. The link is enough, as its target is in that
            // directory.
            if existing.is_link() || existing.identity == identity {
                return Ok(());
            }
            if !matches!(entry.kind, EntryKind::Link(_)) {
                return Err(PackError::Conflict {
                    entry: entry.path,
                    first: existing.original.clone(),
                    second: original.to_owned(),
                });
            }
        }
        self.bytes = self.bytes.saturating_add(entry.size);
        let path = entry.path.clone();
        self.entries.insert(path, Gathered { entry, content, identity, original: original.to_owned() });
        if self.entries.len() > limits.entries {
            return Err(self.too_large(format!("more than {} files", limits.entries)));
        }
        if self.bytes > limits.unpacked {
            return Err(self.too_large(format!("more than {} of files", Bytes(limits.unpacked))));
        }
        Ok(())
    }

    /// Removes entries below links of the bundle, as they can be reached through the link, and checks that nothing is
    /// below a file.
    pub(crate) fn finish(&mut self) -> Result<(), PackError> {
        let mut below_links = Vec::new();
        for (path, gathered) in &self.entries {
            for parent in ancestors(path).filter_map(|ancestor| self.entries.get(ancestor)) {
                match parent.entry.kind {
                    EntryKind::Link(_) => below_links.push(path.clone()),
                    EntryKind::Directory => {}
                    EntryKind::File => {
                        return Err(PackError::Conflict {
                            entry: parent.entry.path.clone(),
                            first: parent.original.clone(),
                            second: gathered.original.clone(),
                        });
                    }
                }
            }
        }
        for path in below_links {
            self.entries.remove(&path);
        }
        Ok(())
    }

    /// Returns the entries, parents before children.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Gathered> {
        self.entries.values()
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries.into_values().map(|gathered| gathered.entry).collect()
    }

    pub(crate) fn too_large(&self, what: String) -> PackError {
        let mut files: Vec<&Entry> = self.entries.values().map(|gathered| &gathered.entry).collect();
        files.sort_by_key(|entry| std::cmp::Reverse(entry.size));
        let largest = files.iter().take(MAX_NAMED).map(|entry| format!("/{} ({})", entry.path, Bytes(entry.size)));
        PackError::TooLarge { what, largest: largest.collect::<Vec<_>>().join(", ") }
    }
}

impl Gathered {
    fn is_link(&self) -> bool {
        matches!(self.entry.kind, EntryKind::Link(_))
    }

    pub(crate) fn original(&self) -> &Path {
        &self.original
    }
}

/// Returns the path of a file in the bundle.
fn path_of(path: &Path) -> Result<String, PackError> {
    match path_in_bundle(path) {
        None if path.to_str().is_none() => Err(PackError::rejected(path, "its name is not UTF-8")),
        None => Err(PackError::rejected(path, "it is the root directory")),
        Some(at) if at == MANIFEST => Err(PackError::rejected(path, "the bundle's manifest has that path")),
        Some(at) => Ok(at),
    }
}

/// Returns the target of a link, if it is below the directory that the link is in.
fn link_target(path: &Path, target: &Path) -> Result<String, PackError> {
    let leads_out = || {
        let target = target.display();
        PackError::rejected(
            path,
            format!("it is a link to {target}, and a link may only lead to a file beside or below it"),
        )
    };
    let mut parts = Vec::new();
    for part in target.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str().ok_or_else(leads_out)?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(leads_out()),
        }
    }
    if parts.is_empty() { Err(leads_out()) } else { Ok(parts.join("/")) }
}
