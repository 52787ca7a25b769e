//! What goes into a bundle, found on disk before anything is written.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use bakehouse_protocol::Bytes;

use crate::{
    entry::{Entry, Kind, PackError},
    entry_path,
    limits::Limits,
    manifest::MANIFEST,
};

/// One entry, and where its content comes from.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) from: From,
    /// Which file it is, however it was reached.
    identity: (u64, u64),
    /// What to call it in messages.
    original: PathBuf,
}

#[derive(Debug)]
pub(crate) enum From {
    Nothing,
    File(PathBuf),
    Text(Vec<u8>),
}

/// Everything that was found, by its path in the bundle.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    found: BTreeMap<String, Found>,
    bytes: u64,
}

/// How many of the largest files a message names.
const NAMED: usize = 5;

impl Gathered {
    /// A file whose content is already known, such as a template that came from standard input.
    pub(crate) fn text(&mut self, path: &Path, text: &[u8], limits: &Limits) -> Result<(), PackError> {
        let entry = Entry { path: inside(path)?, kind: Kind::File, size: text.len() as u64, mode: 0o644 };
        self.put(entry, From::Text(text.to_vec()), (0, 0), path, limits)
    }

    /// A file or directory that the template names: links on the way to it are followed, as when it is read.
    pub(crate) fn named(&mut self, path: &Path, limits: &Limits) -> Result<(), PackError> {
        let meta = fs::metadata(path).map_err(|error| PackError::io("reading", path, error))?;
        let at = inside(path)?;
        if meta.is_dir() { self.directory(path, &at, &meta, limits) } else { self.file(path, at, &meta, limits) }
    }

    fn file(&mut self, path: &Path, at: String, meta: &Metadata, limits: &Limits) -> Result<(), PackError> {
        let kind = meta.file_type();
        if !kind.is_file() {
            let what = match () {
                () if kind.is_fifo() => "a FIFO",
                () if kind.is_socket() => "a socket",
                () => "a device",
            };
            return Err(PackError::refused(path, format!("it is {what}")));
        }
        if meta.mode() & 0o6000 != 0 {
            let why = "it is set-user-ID or set-group-ID: upload it without, and set the bit in a shell step";
            return Err(PackError::refused(path, why));
        }
        let entry = Entry { path: at, kind: Kind::File, size: meta.len(), mode: meta.mode() & 0o777 };
        self.put(entry, From::File(path.to_owned()), (meta.dev(), meta.ino()), path, limits)
    }

    /// A directory and all in it. Links in it are kept as links.
    fn directory(&mut self, path: &Path, at: &str, meta: &Metadata, limits: &Limits) -> Result<(), PackError> {
        let entry = Entry { path: at.to_owned(), kind: Kind::Directory, size: 0, mode: meta.mode() & 0o1777 };
        self.put(entry, From::Nothing, (meta.dev(), meta.ino()), path, limits)?;
        let reading = |error| PackError::io("reading the directory", path, error);
        for item in fs::read_dir(path).map_err(reading)? {
            let item = item.map_err(reading)?;
            let path = item.path();
            let Some(name) = item.file_name().to_str().map(str::to_owned) else {
                return Err(PackError::refused(&path, "its name is not UTF-8"));
            };
            let at = format!("{at}/{name}");
            let meta = item.metadata().map_err(|error| PackError::io("reading", &path, error))?;
            if meta.is_dir() {
                self.directory(&path, &at, &meta, limits)?;
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).map_err(|error| PackError::io("reading the link", &path, error))?;
                let entry = Entry { path: at, kind: Kind::Link(link(&path, &target)?), size: 0, mode: 0o777 };
                self.put(entry, From::Nothing, (meta.dev(), meta.ino()), &path, limits)?;
            } else {
                self.file(&path, at, &meta, limits)?;
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        entry: Entry,
        from: From,
        identity: (u64, u64),
        original: &Path,
        limits: &Limits,
    ) -> Result<(), PackError> {
        if let Some(there) = self.found.get(&entry.path) {
            // A link of an uploaded directory that is also named by itself: the link serves, for what it leads to is
            // in that directory.
            if there.is_link() || there.identity == identity {
                return Ok(());
            }
            if !matches!(entry.kind, Kind::Link(_)) {
                return Err(PackError::Clash {
                    entry: entry.path,
                    first: there.original.clone(),
                    second: original.to_owned(),
                });
            }
        }
        self.bytes = self.bytes.saturating_add(entry.size);
        let path = entry.path.clone();
        self.found.insert(path, Found { entry, from, identity, original: original.to_owned() });
        if self.found.len() > limits.entries {
            return Err(self.too_large(format!("more than {} files", limits.entries)));
        }
        if self.bytes > limits.unpacked {
            return Err(self.too_large(format!("more than {} of files", Bytes(limits.unpacked))));
        }
        Ok(())
    }

    /// Everything, parents before children. What lies behind a link of the bundle is reached through it.
    pub(crate) fn finish(&mut self) -> Result<(), PackError> {
        let mut behind = Vec::new();
        for (path, found) in &self.found {
            for parent in entry_path::above(path).filter_map(|above| self.found.get(above)) {
                match parent.entry.kind {
                    Kind::Link(_) => behind.push(path.clone()),
                    Kind::Directory => {}
                    Kind::File => {
                        return Err(PackError::Clash {
                            entry: parent.entry.path.clone(),
                            first: parent.original.clone(),
                            second: found.original.clone(),
                        });
                    }
                }
            }
        }
        for path in behind {
            self.found.remove(&path);
        }
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Found> {
        self.found.values()
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.found.into_values().map(|found| found.entry).collect()
    }

    pub(crate) fn too_large(&self, what: String) -> PackError {
        let mut files: Vec<&Entry> = self.found.values().map(|found| &found.entry).collect();
        files.sort_by_key(|entry| std::cmp::Reverse(entry.size));
        let largest = files.iter().take(NAMED).map(|entry| format!("/{} ({})", entry.path, Bytes(entry.size)));
        PackError::TooLarge { what, largest: largest.collect::<Vec<_>>().join(", ") }
    }
}

impl Found {
    fn is_link(&self) -> bool {
        matches!(self.entry.kind, Kind::Link(_))
    }

    pub(crate) fn original(&self) -> &Path {
        &self.original
    }
}

fn inside(path: &Path) -> Result<String, PackError> {
    match entry_path::inside(path) {
        None if path.to_str().is_none() => Err(PackError::refused(path, "its name is not UTF-8")),
        None => Err(PackError::refused(path, "it is the whole file system")),
        Some(at) if at == MANIFEST => Err(PackError::refused(path, "the bundle's own manifest has that place")),
        Some(at) => Ok(at),
    }
}

/// What a link leads to, if that is below the directory that the link is in.
fn link(path: &Path, target: &Path) -> Result<String, PackError> {
    let leads_out = || {
        let target = target.display();
        PackError::refused(path, format!("it is a link to {target}; only links to what is beside or below them go"))
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
