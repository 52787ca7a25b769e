//! Unpacking: nothing that an archive says is trusted. Only what [`crate::pack`] writes is accepted, and whatever else
//! an archive can hold is refused by the name of its entry.

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
    entry_path,
    limits::Limits,
    manifest::{self, MANIFEST, Manifest},
};

/// A bundle was not unpacked. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[error("the bundle cannot be unpacked: {}{why}", entry.as_ref().map(|entry| format!("{entry}: ")).unwrap_or_default())]
pub struct UnpackError {
    /// The entry, where one is to blame.
    pub entry: Option<String>,
    /// Why.
    pub why: Why,
}

/// Why a bundle was not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The disk, or an archive that is broken or ends early.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No manifest that can be read.
    #[error("its manifest cannot be used: {0}")]
    Manifest(String),
    /// An absolute path.
    #[error("the path is absolute")]
    Absolute,
    /// A path with `..`.
    #[error("the path has \"..\" in it")]
    Climbs,
    /// A path that is not written plainly.
    #[error("the path is not plain")]
    NotPlain,
    /// A name that is not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// An entry below something that is no directory.
    #[error("it lies below {0}, which is no directory")]
    Through(String),
    /// A name that comes twice.
    #[error("the name comes twice")]
    Twice,
    /// Hard links, devices, FIFOs, sparse files, extended headers.
    #[error("{0} is not accepted")]
    Kind(&'static str),
    /// A link that could lead out.
    #[error("the link to \"{0}\" could lead out")]
    LeadsOut(String),
    /// More than permission bits.
    #[error("the mode {0:o} has more than permission bits")]
    Mode(u32),
    /// Too many entries, or too many bytes.
    #[error("the bundle has more than {0}")]
    TooLarge(String),
    /// Something behind the archive's end.
    #[error("something follows the archive's end")]
    Trailing,
}

impl Why {
    /// Whether the bundle is at fault, and not the disk that it was to be unpacked to.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Io(error) => error.raw_os_error().is_none(),
            _ => true,
        }
    }
}

/// Unpacks a bundle into a directory that this makes, for its owner only. If it fails the directory is gone again.
/// Compare the object with its digest first: [`crate::verify`].
///
/// # Errors
/// There is such a directory already, the bundle is refused, or the disk does not take it.
pub fn unpack(bundle: impl Read, dir: &Path, limits: &Limits) -> Result<Manifest, UnpackError> {
    let whole = |error: io::Error| UnpackError { entry: None, why: error.into() };
    DirBuilder::new().mode(0o700).create(dir).map_err(whole)?;
    let done = (|| {
        let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
        let root = fs::OpenOptions::new().read(true).custom_flags(flags).open(dir).map_err(whole)?;
        let mut unpacking = Unpacking { root: root.into(), dir, limits, made: BTreeMap::new(), count: 0 };
        unpacking.all(bundle)
    })();
    if done.is_err() {
        // The error that is at hand says more than one of clearing up.
        let _ = remove(dir);
    }
    done
}

/// Removes an unpacked bundle, even if directories in it were packed without the right to write.
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

/// What stands at a path.
#[derive(Clone, Copy)]
enum Made {
    /// A directory that no entry has named so far.
    Parent,
    Directory(u32),
    Other,
}

struct Unpacking<'a> {
    root: OwnedFd,
    dir: &'a Path,
    limits: &'a Limits,
    made: BTreeMap<String, Made>,
    count: usize,
}

/// Bytes up to a number; it is counted by whoever shares the counter, and more is an error.
struct Metered<R> {
    from: R,
    seen: Rc<Cell<u64>>,
    most: u64,
    what: &'static str,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(to)?;
        let seen = self.seen.get().saturating_add(count as u64);
        self.seen.set(seen);
        if seen > self.most {
            return Err(io::Error::other(format!("the bundle has more than {} {}", Bytes(self.most), self.what)));
        }
        Ok(count)
    }
}

/// The longest name that an archive may give: the kernel's `PATH_MAX`.
const LONGEST: u64 = 4096;

impl Unpacking<'_> {
    fn all(&mut self, bundle: impl Read) -> Result<Manifest, UnpackError> {
        let whole = |why| UnpackError { entry: None, why };
        let packed = Metered { from: bundle, seen: Rc::default(), most: self.limits.packed, what: "packed" };
        let seen = Rc::new(Cell::new(0));
        let bytes = Metered {
            from: GzDecoder::new(packed),
            seen: Rc::clone(&seen),
            most: self.limits.unpacked,
            what: "unpacked",
        };
        let mut archive = tar::Archive::new(bytes);
        let mut manifest = None;
        // Long names come as entries of their own before the entry that they are for.
        let (mut long_name, mut long_link) = (None, None);
        // Raw: the crate would read extended headers of any length into memory.
        for entry in archive.entries().map_err(|error| whole(error.into()))?.raw(true) {
            let mut entry = entry.map_err(|error| whole(error.into()))?;
            let kind = entry.header().entry_type();
            let extra = match kind {
                EntryType::GNULongName => Some(&mut long_name),
                EntryType::GNULongLink => Some(&mut long_link),
                _ => None,
            };
            if let Some(slot) = extra {
                let shown = || Some(String::from_utf8_lossy(&entry.path_bytes()).into_owned());
                if slot.is_some() || entry.size() > LONGEST {
                    return Err(UnpackError { entry: shown(), why: Why::Kind("such a long name") });
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
            let failed = |why| UnpackError { entry: Some(shown.clone()), why };
            let name = String::from_utf8(name).map_err(|_| failed(Why::NotUtf8))?;
            if entry.size() > self.limits.unpacked.saturating_sub(seen.get()) {
                return Err(failed(Why::TooLarge(format!("{} unpacked", Bytes(self.limits.unpacked)))));
            }
            match &manifest {
                None => manifest = Some(self.manifest(&name, &mut entry).map_err(whole)?),
                Some(_) => self.entry(&name, target, &mut entry).map_err(failed)?,
            }
        }
        let manifest = manifest.ok_or_else(|| whole(Why::Manifest("the archive is empty".to_owned())))?;
        if long_name.is_some() || long_link.is_some() {
            return Err(whole(Why::Trailing));
        }
        // To the end: the checksum of the compressed data stands there.
        let mut rest = archive.into_inner();
        let mut buffer = [0; 4096];
        loop {
            match rest.read(&mut buffer).map_err(|error| whole(error.into()))? {
                0 => break,
                count if buffer.iter().take(count).any(|byte| *byte != 0) => return Err(whole(Why::Trailing)),
                _ => {}
            }
        }
        self.names(&manifest).map_err(|why| whole(Why::Manifest(why)))?;
        self.modes().map_err(|error| whole(error.into()))?;
        Ok(manifest)
    }

    fn manifest(&mut self, name: &str, entry: &mut tar::Entry<'_, impl Read>) -> Result<Manifest, Why> {
        if name != MANIFEST || entry.header().entry_type() != EntryType::Regular || entry.size() > manifest::MOST {
            return Err(Why::Manifest(format!("the first entry is not {MANIFEST}")));
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        self.made.insert(name.to_owned(), Made::Other);
        manifest::read(&text).map_err(Why::Manifest)
    }

    fn entry(&mut self, name: &str, target: Option<Vec<u8>>, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), Why> {
        self.count += 1;
        if self.count > self.limits.entries {
            return Err(Why::TooLarge(format!("{} entries", self.limits.entries)));
        }
        let kind = entry.header().entry_type();
        let path = match kind {
            EntryType::Directory => name.strip_suffix('/').unwrap_or(name),
            _ => name,
        };
        if path.starts_with('/') {
            return Err(Why::Absolute);
        }
        if path.split('/').any(|part| part == "..") {
            return Err(Why::Climbs);
        }
        if !entry_path::is_plain(path) {
            return Err(Why::NotPlain);
        }
        let mode = entry.header().mode()?;
        match (kind, self.made.get(path)) {
            (_, None) | (EntryType::Directory, Some(Made::Parent)) => {}
            _ => return Err(Why::Twice),
        }
        match kind {
            EntryType::Directory if mode & !0o1777 != 0 => return Err(Why::Mode(mode)),
            EntryType::Regular if mode & !0o777 != 0 => return Err(Why::Mode(mode)),
            EntryType::Directory | EntryType::Regular | EntryType::Symlink => {}
            EntryType::Link => return Err(Why::Kind("a hard link")),
            EntryType::Char | EntryType::Block => return Err(Why::Kind("a device")),
            EntryType::Fifo => return Err(Why::Kind("a FIFO")),
            EntryType::GNUSparse => return Err(Why::Kind("a sparse file")),
            EntryType::XHeader | EntryType::XGlobalHeader => return Err(Why::Kind("an extended header")),
            _ => return Err(Why::Kind("an entry of this kind")),
        }
        if kind != EntryType::Regular && entry.size() != 0 {
            return Err(Why::Kind("content of what is no file"));
        }
        let (parent, base) = self.parent(path)?;
        match kind {
            EntryType::Directory => {
                make_directory(&parent, base)?;
                self.made.insert(path.to_owned(), Made::Directory(mode));
            }
            EntryType::Symlink => {
                let target = String::from_utf8(target.unwrap_or_default()).map_err(|_| Why::NotUtf8)?;
                if !entry_path::is_plain(&target) {
                    return Err(Why::LeadsOut(target));
                }
                symlinkat(target.as_str(), &parent, base).map_err(io::Error::from)?;
                self.made.insert(path.to_owned(), Made::Other);
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
                self.made.insert(path.to_owned(), Made::Other);
            }
        }
        Ok(())
    }

    /// The directory that a path is in, made if it is not there. No link is followed on the way: the table of what was
    /// made tells, and the kernel is told, too.
    fn parent<'p>(&mut self, path: &'p str) -> Result<(OwnedFd, &'p str), Why> {
        let mut at = self.root.try_clone()?;
        let (parents, base) = path.rsplit_once('/').map_or((None, path), |(above, base)| (Some(above), base));
        let Some(parents) = parents else {
            return Ok((at, base));
        };
        for above in entry_path::above(path) {
            match self.made.get(above) {
                Some(Made::Other) => return Err(Why::Through(above.to_owned())),
                Some(Made::Parent | Made::Directory(_)) => {}
                None => {
                    self.made.insert(above.to_owned(), Made::Parent);
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

    /// Whether the template and the variable files are there.
    fn names(&self, manifest: &Manifest) -> Result<(), String> {
        if !manifest.working_directory.starts_with('/') {
            return Err(format!("the working directory {} is not absolute", manifest.working_directory));
        }
        for path in manifest.var_files.iter().chain([&manifest.template]) {
            let found = entry_path::inside(Path::new(path)).map(|inside| self.dir.join(inside));
            if !path.starts_with('/') || !found.is_some_and(|found| found.is_file()) {
                return Err(format!("{path} is not in the bundle"));
            }
        }
        Ok(())
    }

    /// Last: a directory that may not be written to could not be filled. Children before parents.
    fn modes(&self) -> io::Result<()> {
        for (path, made) in self.made.iter().rev() {
            if let Made::Directory(mode) = made {
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
