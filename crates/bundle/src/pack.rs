//! Makes a bundle.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bakehouse_protocol::{BundleRef, Bytes};
use flate2::{Compression, GzBuilder, write::GzEncoder};
use tar::{EntryType, Header};

use crate::{
    entry::{Entry, EntryKind, PackError},
    gather::{Content, Entries, Gathered},
    limits::Limits,
    manifest::{self, MANIFEST, Manifest},
    verify::sha256,
};

/// What to pack.
#[derive(Clone, Debug, Default)]
pub struct PackRequest {
    /// The recipe's name.
    pub recipe: String,
    /// The template, absolute or relative to the working directory.
    pub template: PathBuf,
    /// The template's text, if it is not in a file; `template` is then the path that it gets.
    pub text: Option<String>,
    /// The directory that relative paths are resolved against; absolute.
    pub working_directory: PathBuf,
    /// `-var`.
    pub vars: BTreeMap<String, String>,
    /// `-var-file`, absolute or relative to the working directory.
    pub var_files: Vec<PathBuf>,
    /// The environment variables that the template uses, and no others.
    pub environment: BTreeMap<String, String>,
    /// The files and directories that the template's steps name: [`crate::source_files`].
    pub files: Vec<PathBuf>,
    /// How large the bundle may be.
    pub limits: Limits,
}

/// A bundle that was made.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The object.
    pub bytes: Vec<u8>,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its entries besides the manifest, in the archive's order.
    pub entries: Vec<Entry>,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Packed {
    /// Returns the reference to it, with the key that it is to be stored under.
    pub fn reference(&self) -> BundleRef {
        BundleRef { key: format!("bundles/{}.tar.gz", self.sha256), sha256: self.sha256.clone(), size: self.size }
    }
}

/// Makes a bundle.
///
/// # Errors
/// A file cannot be read or packed, or the bundle exceeds a limit.
pub fn pack(request: &PackRequest) -> Result<Packed, PackError> {
    let limits = &request.limits;
    let full = |path: &Path| request.working_directory.join(path);
    let template = full(&request.template);
    let var_files: Vec<PathBuf> = request.var_files.iter().map(|path| full(path)).collect();
    let mut entries = Entries::default();
    match &request.text {
        Some(text) => entries.add_content(&template, text.as_bytes(), limits)?,
        None => entries.add_path(&template, limits)?,
    }
    for path in var_files.iter().chain(&request.files) {
        entries.add_path(&full(path), limits)?;
    }
    entries.finish()?;
    let manifest = Manifest {
        bakehouse: Manifest::VERSION,
        recipe: request.recipe.clone(),
        template: to_utf8(&template)?,
        working_directory: to_utf8(&request.working_directory)?,
        vars: request.vars.clone(),
        var_files: var_files.iter().map(|path| to_utf8(path)).collect::<Result<_, _>>()?,
        environment: request.environment.clone(),
    };
    let bytes = write(&manifest, &entries, limits)?;
    let sha256 = sha256(&bytes);
    Ok(Packed { size: bytes.len() as u64, bytes, sha256, entries: entries.into_entries(), manifest })
}

fn to_utf8(path: &Path) -> Result<String, PackError> {
    path.to_str().map(str::to_owned).ok_or_else(|| PackError::rejected(path, "its name is not UTF-8"))
}

/// A writer with a limit. A write that exceeds it fails and sets `full`.
struct LimitedWriter<W> {
    to: W,
    left: u64,
    full: bool,
}

impl<W: Write> Write for LimitedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        match self.left.checked_sub(written as u64) {
            Some(left) => self.left = left,
            None => {
                self.full = true;
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

type Archive = tar::Builder<LimitedWriter<GzEncoder<LimitedWriter<Vec<u8>>>>>;

fn write(manifest: &Manifest, entries: &Entries, limits: &Limits) -> Result<Vec<u8>, PackError> {
    let packed = LimitedWriter { to: Vec::new(), left: limits.packed, full: false };
    // No time, no name and an unknown system, so that the bytes depend on the content only.
    let packed = GzBuilder::new().mtime(0).operating_system(255).write(packed, Compression::default());
    let mut archive = tar::Builder::new(LimitedWriter { to: packed, left: limits.unpacked, full: false });
    let limit_error = |archive: &Archive| {
        let unpacked = archive.get_ref();
        if unpacked.full {
            Some(entries.too_large(format!("more than {} of files", Bytes(limits.unpacked))))
        } else if unpacked.to.get_ref().full {
            Some(entries.too_large(format!("more than {}", Bytes(limits.packed))))
        } else {
            None
        }
    };
    let head = serde_json::to_vec_pretty(manifest)
        .map_err(|error| PackError::io("writing", Path::new(MANIFEST), error.into()))?;
    if head.len() as u64 > manifest::MAX_BYTES {
        let why = format!("variables and environment make it larger than {}", Bytes(manifest::MAX_BYTES));
        return Err(PackError::rejected(Path::new(MANIFEST), why));
    }
    let first = archive.append_data(&mut header(EntryType::Regular, head.len() as u64, 0o644), MANIFEST, &*head);
    first.map_err(|error| {
        limit_error(&archive).unwrap_or_else(|| PackError::io("writing", Path::new(MANIFEST), error))
    })?;
    for gathered in entries.iter() {
        append(&mut archive, gathered).map_err(|error| limit_error(&archive).unwrap_or(error))?;
    }
    let ending = |error| PackError::io("writing", Path::new(MANIFEST), error);
    let fits = |full: bool, error| {
        if full { entries.too_large(format!("more than {}", Bytes(limits.packed))) } else { ending(error) }
    };
    archive.finish().map_err(|error| limit_error(&archive).unwrap_or_else(|| ending(error)))?;
    let mut packed = archive.into_inner().map_err(ending)?.to;
    let tried = packed.try_finish();
    let full = packed.get_ref().full;
    tried.map_err(|error| fits(full, error))?;
    Ok(packed.finish().map_err(ending)?.to)
}

fn append(archive: &mut Archive, gathered: &Gathered) -> Result<(), PackError> {
    let entry = &gathered.entry;
    let failed = |error| PackError::io("packing", gathered.original(), error);
    match (&entry.kind, &gathered.content) {
        (EntryKind::Directory, _) => {
            let mut header = header(EntryType::Directory, 0, entry.mode);
            archive.append_data(&mut header, &entry.path, io::empty()).map_err(failed)
        }
        (EntryKind::Link(target), _) => {
            let mut header = header(EntryType::Symlink, 0, entry.mode);
            archive.append_link(&mut header, &entry.path, target).map_err(failed)
        }
        (EntryKind::File, Content::Bytes(bytes)) => {
            let mut header = header(EntryType::Regular, bytes.len() as u64, entry.mode);
            archive.append_data(&mut header, &entry.path, &**bytes).map_err(failed)
        }
        (EntryKind::File, Content::File(path)) => {
            let file = File::open(path).map_err(failed)?;
            let mut content = SizedFile { left: entry.size, file };
            let mut header = header(EntryType::Regular, entry.size, entry.mode);
            archive.append_data(&mut header, &entry.path, &mut content).map_err(failed)?;
            content.check_end().map_err(failed)
        }
        (EntryKind::File, Content::None) => Ok(()),
    }
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// A file whose size has been written in its header.
struct SizedFile {
    left: u64,
    file: File,
}

impl Read for SizedFile {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(to.len(), |left| left.min(to.len()));
        let Some(to) = to.get_mut(..most).filter(|to| !to.is_empty()) else {
            return Ok(0);
        };
        match self.file.read(to)? {
            0 => Err(changed()),
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}

impl SizedFile {
    fn check_end(&mut self) -> io::Result<()> {
        if self.file.read(&mut [0])? == 0 { Ok(()) } else { Err(changed()) }
    }
}

fn changed() -> io::Error {
    io::Error::other("its size changed while it was read")
}
