//! Making a bundle.

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
    entry::{Entry, Kind, PackError},
    gather::{Found, From, Gathered},
    limits::Limits,
    manifest::{self, MANIFEST, Manifest},
    verify::sha256,
};

/// What to pack.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// What the recipe is called.
    pub recipe: String,
    /// The template, absolute or relative to the working directory.
    pub template: PathBuf,
    /// The template's text, if it is in no file; `template` then names the place that it takes.
    pub text: Option<String>,
    /// Where relative paths begin; absolute.
    pub working_directory: PathBuf,
    /// `-var`.
    pub vars: BTreeMap<String, String>,
    /// `-var-file`, absolute or relative to the working directory.
    pub var_files: Vec<PathBuf>,
    /// The variables of the environment that the template reads, and no others.
    pub environment: BTreeMap<String, String>,
    /// The files and directories that the template's steps name: [`crate::sources`].
    pub files: Vec<PathBuf>,
    /// How large it may become.
    pub limits: Limits,
}

/// A bundle.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The object.
    pub bytes: Vec<u8>,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
    /// The number of its bytes.
    pub size: u64,
    /// What is in it beside the manifest, in its order.
    pub entries: Vec<Entry>,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Packed {
    /// Where it is to be kept, and how it is known.
    pub fn reference(&self) -> BundleRef {
        BundleRef { key: format!("bundles/{}.tar.gz", self.sha256), sha256: self.sha256.clone(), size: self.size }
    }
}

/// Makes a bundle.
///
/// # Errors
/// A file cannot be read or carried, or there is too much.
pub fn pack(order: &Order) -> Result<Packed, PackError> {
    let limits = &order.limits;
    let full = |path: &Path| order.working_directory.join(path);
    let template = full(&order.template);
    let var_files: Vec<PathBuf> = order.var_files.iter().map(|path| full(path)).collect();
    let mut gathered = Gathered::default();
    match &order.text {
        Some(text) => gathered.text(&template, text.as_bytes(), limits)?,
        None => gathered.named(&template, limits)?,
    }
    for path in var_files.iter().chain(&order.files) {
        gathered.named(&full(path), limits)?;
    }
    gathered.finish()?;
    let manifest = Manifest {
        bakehouse: Manifest::VERSION,
        recipe: order.recipe.clone(),
        template: text(&template)?,
        working_directory: text(&order.working_directory)?,
        vars: order.vars.clone(),
        var_files: var_files.iter().map(|path| text(path)).collect::<Result<_, _>>()?,
        environment: order.environment.clone(),
    };
    let bytes = write(&manifest, &gathered, limits)?;
    let sha256 = sha256(&bytes);
    Ok(Packed { size: bytes.len() as u64, bytes, sha256, entries: gathered.into_entries(), manifest })
}

fn text(path: &Path) -> Result<String, PackError> {
    path.to_str().map(str::to_owned).ok_or_else(|| PackError::refused(path, "its name is not UTF-8"))
}

/// Bytes up to a number. What would go beyond it fails and sets `full`.
struct Capped<W> {
    to: W,
    left: u64,
    full: bool,
}

impl<W: Write> Write for Capped<W> {
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

type Archive = tar::Builder<Capped<GzEncoder<Capped<Vec<u8>>>>>;

fn write(manifest: &Manifest, gathered: &Gathered, limits: &Limits) -> Result<Vec<u8>, PackError> {
    let packed = Capped { to: Vec::new(), left: limits.packed, full: false };
    // No time, no name, and "unknown" as the system: nothing but the content may tell.
    let packed = GzBuilder::new().mtime(0).operating_system(255).write(packed, Compression::default());
    let mut archive = tar::Builder::new(Capped { to: packed, left: limits.unpacked, full: false });
    let too_much = |archive: &Archive| {
        let unpacked = archive.get_ref();
        if unpacked.full {
            Some(gathered.too_large(format!("more than {} of files", Bytes(limits.unpacked))))
        } else if unpacked.to.get_ref().full {
            Some(gathered.too_large(format!("more than {}", Bytes(limits.packed))))
        } else {
            None
        }
    };
    let head = serde_json::to_vec_pretty(manifest)
        .map_err(|error| PackError::io("writing", Path::new(MANIFEST), error.into()))?;
    if head.len() as u64 > manifest::MOST {
        let why = format!("variables and environment make it larger than {}", Bytes(manifest::MOST));
        return Err(PackError::refused(Path::new(MANIFEST), why));
    }
    let first = archive.append_data(&mut header(EntryType::Regular, head.len() as u64, 0o644), MANIFEST, &*head);
    first
        .map_err(|error| too_much(&archive).unwrap_or_else(|| PackError::io("writing", Path::new(MANIFEST), error)))?;
    for found in gathered.iter() {
        append(&mut archive, found).map_err(|error| too_much(&archive).unwrap_or(error))?;
    }
    let ending = |error| PackError::io("writing", Path::new(MANIFEST), error);
    let fits = |full: bool, error| {
        if full { gathered.too_large(format!("more than {}", Bytes(limits.packed))) } else { ending(error) }
    };
    archive.finish().map_err(|error| too_much(&archive).unwrap_or_else(|| ending(error)))?;
    let mut packed = archive.into_inner().map_err(ending)?.to;
    let tried = packed.try_finish();
    let full = packed.get_ref().full;
    tried.map_err(|error| fits(full, error))?;
    Ok(packed.finish().map_err(ending)?.to)
}

fn append(archive: &mut Archive, found: &Found) -> Result<(), PackError> {
    let entry = &found.entry;
    let failed = |error| PackError::io("packing", found.original(), error);
    match (&entry.kind, &found.from) {
        (Kind::Directory, _) => {
            let mut header = header(EntryType::Directory, 0, entry.mode);
            archive.append_data(&mut header, &entry.path, io::empty()).map_err(failed)
        }
        (Kind::Link(target), _) => {
            let mut header = header(EntryType::Symlink, 0, entry.mode);
            archive.append_link(&mut header, &entry.path, target).map_err(failed)
        }
        (Kind::File, From::Text(text)) => {
            let mut header = header(EntryType::Regular, text.len() as u64, entry.mode);
            archive.append_data(&mut header, &entry.path, &**text).map_err(failed)
        }
        (Kind::File, From::File(path)) => {
            let file = File::open(path).map_err(failed)?;
            let mut content = Whole { left: entry.size, file };
            let mut header = header(EntryType::Regular, entry.size, entry.mode);
            archive.append_data(&mut header, &entry.path, &mut content).map_err(failed)?;
            content.ended().map_err(failed)
        }
        (Kind::File, From::Nothing) => Ok(()),
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

/// A file of which the header has already said how long it is.
struct Whole {
    left: u64,
    file: File,
}

impl Read for Whole {
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

impl Whole {
    fn ended(&mut self) -> io::Result<()> {
        if self.file.read(&mut [0])? == 0 { Ok(()) } else { Err(changed()) }
    }
}

fn changed() -> io::Error {
    io::Error::other("its size changed while it was read")
}
