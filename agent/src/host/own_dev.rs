//! A `/dev` that only the job's mount namespace has, so that the volume's disk can have the names that a template uses.
//!
//! It is a tmpfs with links to the host's `/dev`, which stays mounted elsewhere: so a device that a command of the host
//! makes (a partition, a loop device) is there at once under the names that were linked before. While programs run in
//! the image, the disk's partitions are device nodes and not links, because the image may have a bind mount of this
//! `/dev`, in which the links lead nowhere.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sys::stat::{Mode, SFlag, mknod},
};

const DEV: &str = "/dev";
/// How many loop and device-mapper devices are linked before they exist.
const FUTURE: u32 = 256;
const NONE: Option<&str> = None;

/// The job's own `/dev`.
pub(super) struct OwnDev {
    /// Where the host's `/dev` is.
    host: PathBuf,
    /// The kernel's names of the disk's partitions.
    partitions: Vec<String>,
}

impl OwnDev {
    /// Mounts it. `private_dir` is a directory that only this mount namespace has; `links` are names and what they lead
    /// to.
    pub(super) fn create(private_dir: &Path, partitions: Vec<String>, links: &[(String, String)]) -> io::Result<Self> {
        let (host, own) = (private_dir.join("host-dev"), private_dir.join("own-dev"));
        fs::create_dir(&host)?;
        fs::create_dir(&own)?;
        mount(Some(DEV), &host, NONE, MsFlags::MS_BIND, NONE)?;
        mount(Some("bakehouse"), &own, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755,size=8m"))?;
        let dev = Self { host, partitions };
        for (name, target) in links {
            symlink(target, own.join(name))?;
        }
        for entry in fs::read_dir(DEV)? {
            dev.show(&entry?, &own)?;
        }
        let future = (0..FUTURE).flat_map(|number| [format!("loop{number}"), format!("dm-{number}")]);
        for name in future.chain(dev.partitions.iter().cloned()) {
            dev.link(&name, &own)?;
        }
        mount(Some(&own), DEV, NONE, MsFlags::MS_MOVE, NONE)?;
        fs::remove_dir(own)?;
        Ok(dev)
    }

    /// Links devices of the host that are new.
    pub(super) fn refresh(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.host)? {
            let name = entry?.file_name();
            self.link(&name.to_string_lossy(), Path::new(DEV))?;
        }
        Ok(())
    }

    /// Makes the disk's partitions device nodes (`true`), or links again.
    pub(super) fn fix_partitions(&self, fixed: bool) -> io::Result<()> {
        for name in &self.partitions {
            let path = Path::new(DEV).join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            match fs::metadata(self.host.join(name)) {
                Ok(meta) if fixed => make_node(&meta, &path)?,
                _ => self.link(name, Path::new(DEV))?,
            }
        }
        Ok(())
    }

    /// Links a name to that of the host's `/dev`, unless it exists.
    fn link(&self, name: &str, own: &Path) -> io::Result<()> {
        match symlink(self.host.join(name), own.join(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes an entry of the host's `/dev` visible, unless its name is taken.
    fn show(&self, entry: &fs::DirEntry, own: &Path) -> io::Result<()> {
        let (kind, path) = (entry.file_type()?, own.join(entry.file_name()));
        if path.is_symlink() {
            return Ok(());
        }
        if kind.is_dir() {
            fs::create_dir(&path)?;
            return Ok(mount(Some(&entry.path()), &path, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?);
        }
        if kind.is_symlink() {
            return symlink(fs::read_link(entry.path())?, path);
        }
        // The numbers of character devices and of whole disks stay the same, those of partitions may change.
        let is_partition = Path::new("/sys/class/block").join(entry.file_name()).join("partition").exists();
        if kind.is_char_device() || (kind.is_block_device() && !is_partition) {
            return make_node(&entry.metadata()?, &path);
        }
        self.link(&entry.file_name().to_string_lossy(), own)
    }
}

/// Makes a device node like an existing one.
fn make_node(like: &fs::Metadata, path: &Path) -> io::Result<()> {
    let kind = if like.file_type().is_block_device() { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
    mknod(path, kind, Mode::from_bits_truncate(like.mode() & 0o777), like.rdev())?;
    chown(path, Some(like.uid()), Some(like.gid()))?;
    // mknod(2) applies the umask.
    fs::set_permissions(path, fs::Permissions::from_mode(like.mode() & 0o777))
}
