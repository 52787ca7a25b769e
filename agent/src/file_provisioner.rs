//! The `file` provisioner: copies files between the host and the image. Paths of the image are resolved inside it. A
//! new file keeps its source's permissions, whereas Packer creates every new file with mode 0600.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Download, SourceFile, Upload},
};
use nix::fcntl::OFlag;

use crate::{
    attempt::Attempt,
    error::{ErrorContext, JobError},
    host_tool::working_directory,
    image_copy::{copy_chunks, copy_into},
    render::TemplateData,
    setup::Entered,
};

/// The permissions of a new file with `content`: those that a file on a host usually has.
const CONTENT_MODE: u32 = 0o644;

/// Copies files and directories into the image. A file is copied to `destination`, or into it if that ends in `/` or is
/// a directory. A directory is copied to `destination`, or to `destination/name` if that exists already. For a source
/// that ends in `/` only the content of the directory is copied to `destination`.
pub(crate) fn upload(entered: &Entered<'_>, attempt: &Attempt, step: &Upload) -> Result<(), JobError> {
    let cx = entered.cx();
    let image = &entered.chroot_mounts.image;
    let data = entered.step_data();
    let destination = data.render(&step.destination, cx.host.now())?;
    let into_directory = destination.ends_with('/') || image.is_dir(&destination);
    // A file, to this path or into this directory under this name.
    let file_target = |name: &Path| {
        let target = if into_directory { Path::new(&destination).join(name) } else { PathBuf::from(&destination) };
        let parent = target.parent().unwrap_or(Path::new("/"));
        if image.is_dir(parent) {
            return Ok(target);
        }
        Err(JobError::with_hint(
            format!("copying to {destination} in the image: there is no directory {} in it", parent.display()),
            "make it in a shell step before this one",
        ))
    };
    if let Some(content) = &step.content {
        // As with Packer, the name in a directory is a generated one.
        let name = format!("packer-file-provisioner-content-{}-{}", cx.job.build, attempt.id);
        let target = file_target(Path::new(&name))?;
        let operation = || format!("writing {} in the image", target.display());
        copy_into(entered, attempt, operation, |copier| copier.write(&mut content.as_bytes(), CONTENT_MODE, &target))?;
    }
    for source in &step.sources {
        attempt.check(cx)?;
        let from = source_path(entered, step, source, &data)?;
        let meta = fs::metadata(&from).context(|| format!("reading {}", source.written))?;
        let name = Path::new(from.file_name().unwrap_or_default());
        let target = if meta.is_dir() {
            let content_only = source.written.ends_with('/');
            let exists = image.is_dir(&destination);
            if content_only || !exists { PathBuf::from(&destination) } else { Path::new(&destination).join(name) }
        } else {
            file_target(name)?
        };
        let operation = || format!("copying {} to {destination} in the image", source.written);
        copy_into(entered, attempt, operation, |copier| {
            if meta.is_dir() { copier.directory(&from, &target) } else { copier.file(&from, &target) }
        })?;
    }
    Ok(())
}

/// Returns the path of a source on the host. One that is `generated` may use the fields of the run data, and was not
/// brought to the job's files: it is relative to the job's working directory.
fn source_path(
    entered: &Entered<'_>,
    step: &Upload,
    source: &SourceFile,
    data: &TemplateData,
) -> Result<PathBuf, JobError> {
    let cx = entered.cx();
    if step.generated {
        let path = data.render(&DeferredTemplate(source.path.clone()), cx.host.now())?;
        return Ok(working_directory(cx)?.join(path));
    }
    Ok(cx.source_path(source))
}

/// Copies files from the image to the host: to `destination`, or into it if that ends in `/`. Directories that do not
/// exist on the host are created. A new file has mode 0644, as with Packer.
pub(crate) fn download(entered: &Entered<'_>, attempt: &Attempt, step: &Download) -> Result<(), JobError> {
    let cx = entered.cx();
    let data = entered.step_data();
    let go_on = || attempt.check(cx).map_err(io::Error::other);
    for source in &step.sources {
        attempt.check(cx)?;
        let source = data.render(source, cx.host.now())?;
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
        let is_new = !target.exists();
        let mut out = File::create(&target).context(operation)?;
        if is_new {
            out.set_permissions(fs::Permissions::from_mode(0o644)).context(operation)?;
        }
        let copied = copy_chunks(&mut file, &mut out, &go_on);
        attempt.check(cx)?;
        copied.context(operation)?;
    }
    Ok(())
}
