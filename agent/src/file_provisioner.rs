//! The `file` provisioner: copies files between the host and the image. Paths of the image are resolved inside it. A
//! file keeps its permissions, whereas Packer creates every new file with mode 0600; its owner is root.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use bakehouse_protocol::spec::{Download, Upload};
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
    render::TemplateData,
    setup::Entered,
};

/// Copies files and directories into the image. A file is copied to `destination`, or into it if that ends in `/` or is
/// a directory. A directory is copied to `destination`, or to `destination/name` if that exists already. For a source
/// that ends in `/` only the content of the directory is copied to `destination`.
pub(crate) fn upload(entered: &Entered<'_>, attempt: &Attempt, step: &Upload) -> Result<(), JobError> {
    let cx = entered.cx();
    let image = &entered.chroot_mounts.image;
    let destination = TemplateData::from_run_data(&cx.job.data).render(&step.destination, cx.host.now())?;
    for source in &step.sources {
        attempt.check(cx)?;
        let from = Path::new(&cx.job.files).join(&source.path);
        let meta = fs::metadata(&from).context(|| format!("reading {}", source.written))?;
        let operation = || format!("copying {} to {destination} in the image", source.written);
        if meta.is_dir() {
            let name = from.file_name().unwrap_or_default();
            let content_only = source.written.ends_with('/');
            let exists = image.is_dir(&destination);
            let target =
                if content_only || !exists { PathBuf::from(&destination) } else { Path::new(&destination).join(name) };
            copy_directory(image, &from, &target).context(operation)?;
        } else {
            let name = from.file_name().unwrap_or_default();
            let into_directory = destination.ends_with('/') || image.is_dir(&destination);
            let target = if into_directory { Path::new(&destination).join(name) } else { PathBuf::from(&destination) };
            let parent = target.parent().unwrap_or(Path::new("/"));
            if !image.is_dir(parent) {
                return Err(JobError::with_hint(
                    format!("{}: there is no directory {} in the image", operation(), parent.display()),
                    "make it in a shell step before this one",
                ));
            }
            copy_file(image, &from, &target).context(operation)?;
        }
    }
    Ok(())
}

fn copy_file(image: &Image, from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let meta = source.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory"));
    }
    // O_NONBLOCK: opening a FIFO in the image must not block.
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NONBLOCK;
    let mut target = File::from(image.open(to, flags, 0o600)?);
    if !target.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the destination in the image is not a regular file"));
    }
    target.set_len(0)?;
    io::copy(&mut source, &mut target)?;
    std::os::unix::fs::fchown(&target, Some(0), Some(0))?;
    // Last, because changing the owner clears set-user-ID.
    target.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))
}

fn copy_directory(image: &Image, from: &Path, to: &Path) -> io::Result<()> {
    let mode = fs::metadata(from)?.mode() & 0o7777;
    let parent = open_dir(image, to.parent().unwrap_or(Path::new("/")))?;
    if let Some(name) = to.file_name() {
        match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) => {
                let created = image.open(to, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
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
            copy_directory(image, &source, &target)?;
        } else if kind.is_symlink() {
            let directory = open_dir(image, to)?;
            unlink_in(&directory, &entry.file_name())?;
            symlinkat(fs::read_link(&source)?.as_path(), &directory, entry.file_name().as_os_str())?;
        } else {
            copy_file(image, &source, &target)?;
        }
    }
    Ok(())
}

fn open_dir(image: &Image, path: &Path) -> io::Result<OwnedFd> {
    image.open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)
}

/// Copies files from the image to the host: to `destination`, or into it if that ends in `/`. Directories that do not
/// exist on the host are created.
pub(crate) fn download(entered: &Entered<'_>, attempt: &Attempt, step: &Download) -> Result<(), JobError> {
    let cx = entered.cx();
    let fields = TemplateData::from_run_data(&cx.job.data);
    for source in &step.sources {
        attempt.check(cx)?;
        let source = fields.render(source, cx.host.now())?;
        let operation = || format!("copying {source} of the image to {} on the host", step.destination);
        let path = Path::new(&source);
        let mut target = PathBuf::from(&step.destination);
        if step.destination.ends_with('/') {
            target.push(path.file_name().unwrap_or_default());
        }
        let file = entered.chroot_mounts.image.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0);
        let mut file = File::from(file.context(operation)?);
        if !file.metadata().context(operation)?.is_file() {
            return Err(JobError::new(format!("{}: it is not a regular file", operation())));
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).context(operation)?;
        }
        let mut out = File::create(&target).context(operation)?;
        io::copy(&mut file, &mut out).context(operation)?;
    }
    Ok(())
}
