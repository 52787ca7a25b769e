//! What is put into the image while it is provisioned: mounts, and host files bound over the image's. The image's own
//! files are never written, so nothing has to be restored; what had to be made as a mount point is removed again.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bakehouse_protocol::chain;
use nix::mount::MsFlags;

use crate::{
    context::Context,
    error::{Doing, JobError},
    host::{Mount, MountEntry},
    image::{Image, Made, path_of},
    script::{Remains, UploadedScript},
    teardown,
};

/// Everything that was put into the image.
pub(crate) struct ChrootMounts<'a> {
    cx: &'a Context<'a>,
    pub(crate) image: Image,
    root: MountEntry,
    /// The volume's disk.
    disk: PathBuf,
    made: Vec<Made>,
    /// Scripts that could not be removed yet.
    scripts: Vec<UploadedScript>,
    cleared: bool,
}

impl<'a> ChrootMounts<'a> {
    pub(crate) fn new(cx: &'a Context<'a>, image: Image, root: MountEntry, disk: PathBuf) -> Self {
        Self { cx, image, root, disk, made: Vec::new(), scripts: Vec::new(), cleared: false }
    }

    /// Mounts something on a directory of the image, which is made if it is missing.
    pub(crate) fn mount(&mut self, target: &str, mount: &Mount) -> Result<(), JobError> {
        let doing = || format!("mounting {} ({}) at {target} in the image", mount.source, mount.kind);
        // A bind mount may be of a file, and then wants a file to lie on.
        let of_file = mount.flags.contains(MsFlags::MS_BIND) && !Path::new(&mount.source).is_dir();
        let path = Path::new(target);
        if of_file {
            self.image.make_file(path, &mut self.made).map(drop).doing(doing)?;
        } else {
            self.image.make_dirs(path, &mut self.made).doing(doing)?;
        }
        let place = self.image.at(path).doing(doing)?;
        self.cx.host.mount(&Mount { target: path_of(&place), ..mount.clone() }).doing(doing)?;
        // Flags of a bind take effect only when it is mounted again; and only on what now lies on the place.
        let kept = mount.flags & !(MsFlags::MS_BIND | MsFlags::MS_REC);
        if mount.flags.contains(MsFlags::MS_BIND) && !kept.is_empty() {
            let mounted = self.image.at(path).doing(doing)?;
            let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | kept;
            self.cx.host.mount(&Mount { target: path_of(&mounted), flags, ..mount.clone() }).doing(doing)?;
        }
        Ok(())
    }

    /// Lets a path of the image show a copy of the host's file: programs in the image may write to it, and neither the
    /// image nor the host keeps what they wrote. The copy is in memory, bounded, and set-user-ID has no effect on it.
    pub(crate) fn show(&mut self, content: &[u8], mode: u32, target: &Path) -> Result<(), JobError> {
        let doing = || format!("placing a file at {} in the image", target.display());
        let copy = self.write_copy(content, mode).doing(doing)?;
        let real = self.image.make_file(target, &mut self.made).doing(doing)?;
        let place = self.image.at(&real).doing(doing)?;
        let bind = Mount {
            source: copy.display().to_string(),
            target: path_of(&place),
            kind: String::new(),
            flags: MsFlags::MS_BIND,
            data: String::new(),
        };
        self.cx.host.mount(&bind).doing(doing)
    }

    fn write_copy(&self, content: &[u8], mode: u32) -> io::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let copy = (0u32..)
            .map(|i| self.cx.private.join(format!("file-{i}")))
            .find(|path| !path.exists())
            .ok_or_else(|| io::Error::other("no free name"))?;
        fs::write(&copy, content)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode))?;
        Ok(copy)
    }

    /// Makes a directory that is removed at the end if nothing is in it.
    pub(crate) fn make_dirs(&mut self, path: &Path) -> io::Result<()> {
        self.image.make_dirs(path, &mut self.made)
    }

    /// Removes a script that has run. If it can't be reached now, it is tried again when everything that steps have mounted
    /// is unmounted.
    pub(crate) fn remove_script(&mut self, script: UploadedScript) -> Result<(), JobError> {
        match script.remove(&self.image) {
            Ok(()) => Ok(()),
            Err(_) if self.root_device().is_some_and(|root| script.is_on(root)) => {
                self.scripts.push(script);
                Ok(())
            }
            Err(why) => Err(remains(&script, why)),
        }
    }

    /// After [`Self::clear`]: makes sure that no script of a step is in the image.
    pub(crate) fn check_scripts(&mut self) -> Result<(), JobError> {
        self.scripts.drain(..).try_for_each(|script| script.remove(&self.image).map_err(|why| remains(&script, why)))
    }

    /// Turns off swap areas and detaches loop devices that steps have left on the root, or on what is mounted below it.
    fn release(&self) -> Result<(), JobError> {
        let releasing = || "releasing swap areas and loop devices that a step left".to_owned();
        for released in self.cx.host.release(&self.root, &self.disk).doing(releasing)? {
            self.cx.note(format!("{released}, which a step left in use, was released"));
        }
        Ok(())
    }

    fn root_device(&self) -> Option<u64> {
        Some(nix::sys::stat::fstat(&self.image).ok()?.st_dev)
    }

    /// Takes everything out again. Nothing happens the second time.
    pub(crate) fn clear(&mut self) -> Result<(), JobError> {
        if self.cleared {
            return Ok(());
        }
        self.release()?;
        teardown::unmount_below(self.cx, &self.root)?;
        // Once more: what was mounted may have hidden a swap file.
        self.release()?;
        self.scripts.retain(|script| script.remove(&self.image).is_err());
        while let Some(made) = self.made.pop() {
            self.image.remove(&made).doing(|| "removing a mount point from the image".to_owned())?;
        }
        self.cleared = true;
        Ok(())
    }
}

fn remains(script: &UploadedScript, why: Remains) -> JobError {
    JobError::hinted(
        format!("the script {} is still in the image, once at {}: {}", script.name, script.path.display(), chain(&why)),
        "scripts may hold secrets, so no image is made; a step must not link its script or make it immutable",
    )
}

impl Drop for ChrootMounts<'_> {
    fn drop(&mut self) {
        // With something still running, unmounting is left to the end of the process, and so of its namespaces.
        if !self.cleared
            && self.cx.host.end_all(None).is_ok()
            && let Err(error) = self.clear()
        {
            tracing::error!(%error, "mounts in the image are left to the end of the process");
        }
    }
}
