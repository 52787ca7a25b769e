//! `file`: copying between the host and the image. Paths of the image are resolved inside it. Unlike with Packer, which
//! gives every new file the mode 0600, a file keeps its permissions; the owner is root.

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
    error::{Doing, JobError},
    image::{Image, unlink_in},
    render::Fields,
    setup::Entered,
};

/// Copies files and directories into the image. A file goes to `destination`, or into it if that ends in `/` or is a
/// directory; a directory becomes `destination`, or `destination/name` if that exists; of `directory/` the content goes
/// into `destination`.
pub(crate) fn upload(entered: &Entered<'_>, step: &Upload) -> Result<(), JobError> {
    let cx = entered.cx();
    let image = &entered.chroot_mounts.image;
    let destination = Fields::of_run(&cx.job.data).render(&step.destination, cx.host.now())?;
    for source in &step.sources {
        cx.check_cancelled()?;
        let from = Path::new(&cx.job.files).join(&source.path);
        let meta = fs::metadata(&from).doing(|| format!("reading {}", source.written))?;
        let doing = || format!("copying {} to {destination} in the image", source.written);
        if meta.is_dir() {
            let name = from.file_name().unwrap_or_default();
            let contents = source.written.ends_with('/');
            let into = image.is_dir(&destination);
            let target =
                if contents || !into { PathBuf::from(&destination) } else { Path::new(&destination).join(name) };
            copy_directory(image, &from, &target).doing(doing)?;
        } else {
            let name = from.file_name().unwrap_or_default();
            let into_directory = destination.ends_with('/') || image.is_dir(&destination);
            let target = if into_directory { Path::new(&destination).join(name) } else { PathBuf::from(&destination) };
            let parent = target.parent().unwrap_or(Path::new("/"));
            if !image.is_dir(parent) {
                return Err(JobError::hinted(
                    format!("{}: there is no directory {} in the image", doing(), parent.display()),
                    "make it in a shell step before this one",
                ));
            }
            copy_file(image, &from, &target).doing(doing)?;
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
    // NONBLOCK: a FIFO in the image must not hold us up.
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NONBLOCK;
    let mut target = File::from(image.open(to, flags, 0o600)?);
    if !target.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "what is there in the image is not a regular file"));
    }
    target.set_len(0)?;
    io::copy(&mut source, &mut target)?;
    std::os::unix::fs::fchown(&target, Some(0), Some(0))?;
    // Last: a change of owner clears set-user-ID.
    target.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))
}

fn copy_directory(image: &Image, from: &Path, to: &Path) -> io::Result<()> {
    let mode = fs::metadata(from)?.mode() & 0o7777;
    let parent = open_dir(image, to.parent().unwrap_or(Path::new("/")))?;
    if let Some(name) = to.file_name() {
        match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) => {
                let made = image.open(to, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
                File::from(made).set_permissions(fs::Permissions::from_mode(mode))?;
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

/// Copies files out of the image to the host; to `destination`, or into it if that ends in `/`. Missing directories of
/// the host are made.
pub(crate) fn download(entered: &Entered<'_>, step: &Download) -> Result<(), JobError> {
    let cx = entered.cx();
    let fields = Fields::of_run(&cx.job.data);
    for source in &step.sources {
        cx.check_cancelled()?;
        let source = fields.render(source, cx.host.now())?;
        let doing = || format!("copying {source} of the image to {} on the host", step.destination);
        let path = Path::new(&source);
        let mut target = PathBuf::from(&step.destination);
        if step.destination.ends_with('/') {
            target.push(path.file_name().unwrap_or_default());
        }
        let file = entered.chroot_mounts.image.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0);
        let mut file = File::from(file.doing(doing)?);
        if !file.metadata().doing(doing)?.is_file() {
            return Err(JobError::wrong(format!("{}: it is not a regular file", doing())));
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).doing(doing)?;
        }
        let mut out = File::create(&target).doing(doing)?;
        io::copy(&mut file, &mut out).doing(doing)?;
    }
    Ok(())
}
