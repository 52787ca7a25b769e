//! Files of the host that are at the same path in the image while it is provisioned: for name resolution, or those that
//! `copy_files` names. Programs in the image see a bind mount over the image's own file. While commands of the host
//! run, which may unmount and copy the root, the file itself is there, as with Packer, and the image's own is beside
//! it.

use std::{
    ffi::OsString,
    fs, io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, renameat},
};

use crate::image::{Image, create_in, unlink_in};

/// What the image's own file is named meanwhile, after a dot and its name.
const SAVED: &str = "bakehouse-saved";

/// A file of the host.
#[derive(Clone, Debug)]
pub(crate) struct HostFile {
    /// Its path on the host, and in the image.
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

impl HostFile {
    /// Reads a file of the host.
    pub(crate) fn read(path: &str) -> io::Result<Self> {
        let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
        Ok(Self { path: path.into(), mode, content: fs::read(path)? })
    }

    /// Writes it into the image, in place of the image's own file, which is renamed. Does nothing if the image has no
    /// directory for it. An error leaves the image as it was.
    pub(crate) fn put(&self, image: &Image) -> io::Result<()> {
        let Some((directory, name)) = self.place(image)? else {
            return Ok(());
        };
        let saved = saved(&name);
        match renameat(&directory, name.as_os_str(), &directory, saved.as_os_str()) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        create_in(&directory, &name, &self.content, self.mode).inspect_err(|_| {
            let _ = renameat(&directory, saved.as_os_str(), &directory, name.as_os_str());
        })
    }

    /// Undoes [`Self::put`], in the root that is mounted now.
    pub(crate) fn take_away(&self, image: &Image) -> io::Result<()> {
        let Some((directory, name)) = self.place(image)? else {
            return Ok(());
        };
        // In one step: the image is never without its own file.
        match renameat(&directory, saved(&name).as_os_str(), &directory, name.as_os_str()) {
            Ok(()) => Ok(()),
            Err(Errno::ENOENT) => unlink_in(&directory, &name),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the directory of the file in the image, if it exists, and the file's name.
    fn place(&self, image: &Image) -> io::Result<Option<(OwnedFd, OsString)>> {
        let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a path without a file name"));
        };
        match image.open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, 0) {
            Ok(directory) => Ok(Some((directory, name.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn saved(name: &OsString) -> PathBuf {
    let mut saved = OsString::from(".");
    saved.push(name);
    saved.push(".");
    saved.push(SAVED);
    Path::new(&saved).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_images_own_file_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let image = Image::open_root(dir.path()).unwrap();
        let file = HostFile { path: "/etc/resolv.conf".into(), mode: 0o640, content: b"host".to_vec() };
        file.put(&image).unwrap();
        assert!(!dir.path().join("etc").exists(), "no directory, no file");
        fs::create_dir(dir.path().join("etc")).unwrap();
        let path = dir.path().join("etc/resolv.conf");
        let entries = || fs::read_dir(dir.path().join("etc")).unwrap().count();

        file.put(&image).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"host");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        file.take_away(&image).unwrap();
        assert_eq!(entries(), 0);

        symlink("../run/none", &path).unwrap();
        file.put(&image).unwrap();
        assert!(!path.is_symlink() && entries() == 2);
        // A command of the host may have removed it.
        fs::remove_file(&path).unwrap();
        file.take_away(&image).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("../run/none"));
        assert_eq!(entries(), 1);
    }
}
