//! Unpacks a bundle without trusting anything in the archive. Only what [`crate::pack`] writes is accepted; any other
//! entry is rejected by name.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    rc::Rc,
};

use bakehouse_protocol::Bytes;
use flate2::read::GzDecoder;
use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::stat::{Mode, mkdirat},
    unistd::symlinkat,
};
use tar::EntryType;

use crate::{
    limits::Limits,
    manifest::{self, MANIFEST, Manifest},
    path::{ancestors, is_normalized, path_in_bundle},
};

/// A bundle could not be unpacked. Nothing of it is left on disk.
#[derive(Debug, thiserror::Error)]
#[error("the bundle cannot be unpacked: {}{kind}", entry.as_ref().map(|entry| format!("{entry}: ")).unwrap_or_default())]
pub struct UnpackError {
    /// The entry that was rejected, if it was one.
    pub entry: Option<String>,
    /// Why.
    pub kind: UnpackErrorKind,
}

/// Why a bundle could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackErrorKind {
    /// A fault of the disk, or an archive that is corrupt or truncated.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The manifest is missing or invalid.
    #[error("its manifest cannot be used: {0}")]
    Manifest(String),
    /// An absolute path.
    #[error("the path is absolute")]
    AbsolutePath,
    /// A path with `..`.
    #[error("the path contains \"..\"")]
    ParentComponent,
    /// A path with `.`, an empty component, or the like.
    #[error("the path is not normalized")]
    NotNormalized,
    /// A name that is not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// An entry below something that is not a directory.
    #[error("it is below {0}, which is not a directory")]
    NotADirectory(String),
    /// A second entry with the same path.
    #[error("there are two entries of this name")]
    Duplicate,
    /// Hard links, devices, FIFOs, sparse files, extended headers.
    #[error("{0} is not accepted")]
    UnsupportedEntry(&'static str),
    /// A link that could lead out of the bundle.
    #[error("the link to \"{0}\" could lead out of the bundle")]
    LinkLeadsOut(String),
    /// A mode with more than permission bits.
    #[error("the mode {0:o} has more than permission bits")]
    Mode(u32),
    /// Too many entries, or too many bytes.
    #[error("the bundle has more than {0}")]
    TooLarge(String),
    /// Data after the archive's end.
    #[error("there is data after the archive's end")]
    TrailingData,
}

impl UnpackErrorKind {
    /// Whether the bundle was rejected; otherwise it is a fault of the disk that it was to be unpacked to.
    pub fn is_rejection(&self) -> bool {
        match self {
            Self::Io(error) => error.raw_os_error().is_none(),
            _ => true,
        }
    }
}

/// Unpacks a bundle into a directory that this function creates, for its owner only, and removes again if it fails.
/// Compare the object with its digest first: [`crate::verify`].
///
/// # Errors
/// The directory exists already, the bundle is rejected, or it can't be written to the disk.
pub fn unpack(bundle: impl Read, dir: &Path, limits: &Limits) -> Result<Manifest, UnpackError> {
    let whole = |error: io::Error| UnpackError { entry: None, kind: error.into() };
    DirBuilder::new().mode(0o700).create(dir).map_err(whole)?;
    let done = (|| {
        let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
        let root = fs::OpenOptions::new().read(true).custom_flags(flags).open(dir).map_err(whole)?;
        let mut unpacking = Unpacking { root: root.into(), dir, limits, created: BTreeMap::new(), count: 0 };
        unpacking.unpack(bundle)
    })();
    if done.is_err() {
        // The first error says more than one of clearing up.
        let _ = remove(dir);
    }
    done
}

/// Removes an unpacked bundle, even if directories in it are read-only.
///
/// # Errors
/// It cannot be removed.
pub fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(dir)?;
            fs::remove_dir_all(dir)
        }
        other => other,
    }
}

fn make_writable(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// What was created at a path.
#[derive(Clone, Copy)]
enum Created {
    /// A directory that has no entry of its own so far.
    Parent,
    Directory(u32),
    Other,
}

struct Unpacking<'a> {
    root: OwnedFd,
    dir: &'a Path,
    limits: &'a Limits,
    created: BTreeMap<String, Created>,
    count: usize,
}

/// A reader with a limit. It counts the bytes that are read; more than `max` are an error.
struct LimitedReader<R> {
    from: R,
    count: Rc<Cell<u64>>,
    max: u64,
    what: &'static str,
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        let count = self.count.get().saturating_add(read as u64);
        self.count.set(count);
        if count > self.max {
            return Err(io::Error::other(format!("the bundle has more than {} {}", Bytes(self.max), self.what)));
        }
        Ok(read)
    }
}

/// The longest name in an archive: the kernel's `PATH_MAX`.
const MAX_NAME: u64 = 4096;

impl Unpacking<'_> {
    fn unpack(&mut self, bundle: impl Read) -> Result<Manifest, UnpackError> {
        let whole = |kind| UnpackError { entry: None, kind };
        let packed = LimitedReader { from: bundle, count: Rc::default(), max: self.limits.packed, what: "packed" };
        let unpacked = Rc::new(Cell::new(0));
        let bytes = LimitedReader {
            from: GzDecoder::new(packed),
            count: Rc::clone(&unpacked),
            max: self.limits.unpacked,
            what: "unpacked",
        };
        let mut archive = tar::Archive::new(bytes);
        let mut manifest = None;
        // A long name is an entry of its own before the entry that it belongs to.
        let (mut long_name, mut long_link) = (None, None);
        // Raw, because the crate would read extended headers of any length into memory.
        for entry in archive.entries().map_err(|error| whole(error.into()))?.raw(true) {
            let mut entry = entry.map_err(|error| whole(error.into()))?;
            let kind = entry.header().entry_type();
            let long = match kind {
                EntryType::GNULongName => Some(&mut long_name),
                EntryType::GNULongLink => Some(&mut long_link),
                _ => None,
            };
            if let Some(slot) = long {
                let shown = || Some(String::from_utf8_lossy(&entry.path_bytes()).into_owned());
                if slot.is_some() || entry.size() > MAX_NAME {
                    return Err(UnpackError {
                        entry: shown(),
                        kind: UnpackErrorKind::UnsupportedEntry("such a long name"),
                    });
                }
                let mut text = Vec::new();
                entry.read_to_end(&mut text).map_err(|error| whole(error.into()))?;
                if text.last() == Some(&0) {
                    text.pop();
                }
                *slot = Some(text);
                continue;
            }
            let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            let target = long_link.take().or_else(|| entry.link_name_bytes().map(|name| name.into_owned()));
            let shown = String::from_utf8_lossy(&name).into_owned();
            let failed = |kind| UnpackError { entry: Some(shown.clone()), kind };
            let name = String::from_utf8(name).map_err(|_| failed(UnpackErrorKind::NotUtf8))?;
            if entry.size() > self.limits.unpacked.saturating_sub(unpacked.get()) {
                return Err(failed(UnpackErrorKind::TooLarge(format!("{} unpacked", Bytes(self.limits.unpacked)))));
            }
            match &manifest {
                None => manifest = Some(self.manifest(&name, &mut entry).map_err(whole)?),
                Some(_) => self.entry(&name, target, &mut entry).map_err(failed)?,
            }
        }
        let manifest = manifest.ok_or_else(|| whole(UnpackErrorKind::Manifest("the archive is empty".to_owned())))?;
        if long_name.is_some() || long_link.is_some() {
            return Err(whole(UnpackErrorKind::TrailingData));
        }
        // Read to the end, where the checksum of the compressed data is.
        let mut rest = archive.into_inner();
        let mut buffer = [0; 4096];
        loop {
            match rest.read(&mut buffer).map_err(|error| whole(error.into()))? {
                0 => break,
                count if buffer.iter().take(count).any(|byte| *byte != 0) => {
                    return Err(whole(UnpackErrorKind::TrailingData));
                }
                _ => {}
            }
        }
        self.check_files(&manifest).map_err(|why| whole(UnpackErrorKind::Manifest(why)))?;
        self.set_directory_modes().map_err(|error| whole(error.into()))?;
        Ok(manifest)
    }

    fn manifest(&mut self, name: &str, entry: &mut tar::Entry<'_, impl Read>) -> Result<Manifest, UnpackErrorKind> {
        if name != MANIFEST || entry.header().entry_type() != EntryType::Regular || entry.size() > manifest::MAX_BYTES {
            return Err(UnpackErrorKind::Manifest(format!("the first entry is not {MANIFEST}")));
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        self.created.insert(name.to_owned(), Created::Other);
        manifest::read(&text).map_err(UnpackErrorKind::Manifest)
    }

    fn entry(
        &mut self,
        name: &str,
        target: Option<Vec<u8>>,
        entry: &mut tar::Entry<'_, impl Read>,
    ) -> Result<(), UnpackErrorKind> {
        self.count += 1;
        if self.count > self.limits.entries {
            return Err(UnpackErrorKind::TooLarge(format!("{} entries", self.limits.entries)));
        }
        let kind = entry.header().entry_type();
        let path = match kind {
            EntryType::Directory => name.strip_suffix('/').unwrap_or(name),
            _ => name,
        };
        if path.starts_with('/') {
            return Err(UnpackErrorKind::AbsolutePath);
        }
        if path.split('/').any(|part| part == "..") {
            return Err(UnpackErrorKind::ParentComponent);
        }
        if !is_normalized(path) {
            return Err(UnpackErrorKind::NotNormalized);
        }
        let mode = entry.header().mode()?;
        match (kind, self.created.get(path)) {
            (_, None) | (EntryType::Directory, Some(Created::Parent)) => {}
            _ => return Err(UnpackErrorKind::Duplicate),
        }
        match kind {
            EntryType::Directory if mode & !0o1777 != 0 => return Err(UnpackErrorKind::Mode(mode)),
            EntryType::Regular if mode & !0o777 != 0 => return Err(UnpackErrorKind::Mode(mode)),
            EntryType::Directory | EntryType::Regular | EntryType::Symlink => {}
            EntryType::Link => return Err(UnpackErrorKind::UnsupportedEntry("a hard link")),
            EntryType::Char | EntryType::Block => return Err(UnpackErrorKind::UnsupportedEntry("a device")),
            EntryType::Fifo => return Err(UnpackErrorKind::UnsupportedEntry("a FIFO")),
            EntryType::GNUSparse => return Err(UnpackErrorKind::UnsupportedEntry("a sparse file")),
            EntryType::XHeader | EntryType::XGlobalHeader => {
                return Err(UnpackErrorKind::UnsupportedEntry("an extended header"));
            }
            _ => return Err(UnpackErrorKind::UnsupportedEntry("an entry of this kind")),
        }
        if kind != EntryType::Regular && entry.size() != 0 {
            return Err(UnpackErrorKind::UnsupportedEntry("content of an entry that is not a file"));
        }
        let (parent, base) = self.parent(path)?;
        match kind {
            EntryType::Directory => {
                make_directory(&parent, base)?;
                self.created.insert(path.to_owned(), Created::Directory(mode));
            }
            EntryType::Symlink => {
                let target = String::from_utf8(target.unwrap_or_default()).map_err(|_| UnpackErrorKind::NotUtf8)?;
                if !is_normalized(&target) {
                    return Err(UnpackErrorKind::LinkLeadsOut(target));
                }
                symlinkat(target.as_str(), &parent, base).map_err(io::Error::from)?;
                self.created.insert(path.to_owned(), Created::Other);
            }
            _ => {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let file = openat(&parent, base, flags, Mode::from_bits_truncate(0o600)).map_err(io::Error::from)?;
                let mut file = File::from(file);
                let size = entry.size();
                if io::copy(entry, &mut file)? != size {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                file.set_permissions(Permissions::from_mode(mode))?;
                self.created.insert(path.to_owned(), Created::Other);
            }
        }
        Ok(())
    }

    /// Returns the directory that a path is in, created if necessary, and the last component of the path. No link is
    /// followed: neither the table of created paths nor the flags for the kernel allow it.
    fn parent<'p>(&mut self, path: &'p str) -> Result<(OwnedFd, &'p str), UnpackErrorKind> {
        let mut at = self.root.try_clone()?;
        let (parents, base) = path.rsplit_once('/').map_or((None, path), |(above, base)| (Some(above), base));
        let Some(parents) = parents else {
            return Ok((at, base));
        };
        for ancestor in ancestors(path) {
            match self.created.get(ancestor) {
                Some(Created::Other) => return Err(UnpackErrorKind::NotADirectory(ancestor.to_owned())),
                Some(Created::Parent | Created::Directory(_)) => {}
                None => {
                    self.created.insert(ancestor.to_owned(), Created::Parent);
                }
            }
        }
        for name in parents.split('/') {
            make_directory(&at, name)?;
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            at = openat(&at, name, flags, Mode::empty()).map_err(io::Error::from)?;
        }
        Ok((at, base))
    }

    /// Checks that the template and the variable files are in the bundle.
    fn check_files(&self, manifest: &Manifest) -> Result<(), String> {
        if !manifest.working_directory.starts_with('/') {
            return Err(format!("the working directory {} is not absolute", manifest.working_directory));
        }
        for path in manifest.var_files.iter().chain([&manifest.template]) {
            let found = path_in_bundle(Path::new(path)).map(|path| self.dir.join(path));
            if !path.starts_with('/') || !found.is_some_and(|found| found.is_file()) {
                return Err(format!("{path} is not in the bundle"));
            }
        }
        Ok(())
    }

    /// Sets the modes of directories, children before parents. This is done last, as a read-only directory could not be
    /// filled.
    fn set_directory_modes(&self) -> io::Result<()> {
        for (path, created) in self.created.iter().rev() {
            if let Created::Directory(mode) = created {
                let path: PathBuf = self.dir.join(path);
                fs::set_permissions(path, Permissions::from_mode(*mode))?;
            }
        }
        Ok(())
    }
}

fn make_directory(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match mkdirat(parent, name, Mode::from_bits_truncate(0o700)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
