//! Copies files and directories of the host into the image. Paths of the image are resolved inside it. A new file has
//! the permissions of its source and belongs to root; an existing one keeps its permissions and owner.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, PermissionsExt, fchown},
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::stat::{Mode, mkdirat},
    unistd::symlinkat,
};

use crate::{
    attempt::Attempt,
    error::{ErrorContext, JobError},
    image::{Image, unlink_in},
    setup::Entered,
};

/// How much is copied between two checks whether to go on.
const CHUNK: usize = 1 << 20;

/// Copies into the image as `copy` does. If the job is cancelled or the time of the try is over meanwhile, that is the
/// error; any other has this `operation`.
pub(crate) fn copy_into(
    entered: &Entered<'_>,
    attempt: &Attempt,
    operation: impl FnOnce() -> String,
    copy: impl FnOnce(&Copier<'_>) -> io::Result<()>,
) -> Result<(), JobError> {
    let cx = entered.cx();
    let go_on = || attempt.check(cx).map_err(io::Error::other);
    let copied = copy(&Copier { image: &entered.chroot_mounts.image, go_on: &go_on });
    attempt.check(cx)?;
    copied.context(operation)
}

/// Copies into an image. `go_on` is called now and then; its error ends the copying.
pub(crate) struct Copier<'a> {
    image: &'a Image,
    go_on: &'a dyn Fn() -> io::Result<()>,
}

impl Copier<'_> {
    /// Copies a file.
    pub(crate) fn file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut source = File::open(from)?;
        let meta = source.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory"));
        }
        self.write(&mut source, meta.mode() & 0o7777, to)
    }

    /// Writes a file, which has this mode if it is new.
    pub(crate) fn write(&self, content: &mut dyn Read, mode: u32, to: &Path) -> io::Result<()> {
        let is_new = !self.image.exists(to);
        // O_NONBLOCK: opening a FIFO in the image must not block.
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NONBLOCK;
        let mut target = File::from(self.image.open(to, flags, 0o600)?);
        if !target.metadata()?.is_file() {
            let message = "the destination in the image is not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        target.set_len(0)?;
        copy_chunks(content, &mut target, self.go_on)?;
        if is_new {
            fchown(&target, Some(0), Some(0))?;
            // Last, because changing the owner clears set-user-ID.
            target.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Copies what is in a directory, hidden files too, to a directory, which is created if it does not exist; its
    /// parent must exist. Symbolic links are copied as such.
    pub(crate) fn directory(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.go_on)()?;
        let mode = fs::metadata(from)?.mode() & 0o7777;
        let parent = self.open_dir(to.parent().unwrap_or(Path::new("/")))?;
        if let Some(name) = to.file_name() {
            match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) => {
                    let created = self.image.open(to, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
                    File::from(created).set_permissions(fs::Permissions::from_mode(mode))?;
                }
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.directory(&source, &target)?;
            } else if kind.is_symlink() {
                let directory = self.open_dir(to)?;
                unlink_in(&directory, &entry.file_name())?;
                symlinkat(fs::read_link(&source)?.as_path(), &directory, entry.file_name().as_os_str())?;
            } else {
                self.file(&source, &target)?;
            }
        }
        Ok(())
    }

    fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        self.image.open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)
    }
}

/// Copies to the end, and asks now and then whether to go on.
pub(crate) fn copy_chunks(from: &mut dyn Read, to: &mut File, go_on: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        go_on()?;
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => to.write_all(chunk.get(..n).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
