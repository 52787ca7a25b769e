//! What is in a root file system, file by file, in a form that two of them can be compared in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hasher as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

/// Everything about a file but when it was made or touched.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// What it is, with a link's target and a device's numbers.
    kind: String,
    mode: u32,
    owner: (u32, u32),
    /// How many names it has; of directories it follows from their content.
    names: u64,
    /// Its length and a digest.
    content: (u64, u64),
    attributes: BTreeMap<String, Vec<u8>>,
}

impl Entry {
    fn of(path: &Path) -> Self {
        let meta = fs::symlink_metadata(path).unwrap();
        let kind = meta.file_type();
        let device = || (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
        let text = match kind {
            _ if kind.is_symlink() => format!("link to {}", fs::read_link(path).unwrap().display()),
            _ if kind.is_dir() => "directory".to_owned(),
            _ if kind.is_fifo() => "pipe".to_owned(),
            _ if kind.is_socket() => "socket".to_owned(),
            _ if kind.is_char_device() => format!("character device {:?}", device()),
            _ if kind.is_block_device() => format!("block device {:?}", device()),
            _ => "file".to_owned(),
        };
        Self {
            content: if kind.is_file() { digest(path) } else { (0, 0) },
            kind: text,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            names: if kind.is_dir() { 0 } else { meta.nlink() },
            attributes: attributes(path),
        }
    }

    /// In what two differ.
    fn differs(&self, other: &Self) -> Vec<String> {
        let mut all = Vec::new();
        let mut note = |what: &str, differs: bool, values: String| {
            all.extend(differs.then(|| format!("{what} {values}")));
        };
        note("kind", self.kind != other.kind, format!("{} / {}", self.kind, other.kind));
        note("mode", self.mode != other.mode, format!("{:o} / {:o}", self.mode, other.mode));
        note("owner", self.owner != other.owner, format!("{:?} / {:?}", self.owner, other.owner));
        note("names", self.names != other.names, format!("{} / {}", self.names, other.names));
        let keys = |it: &Self| it.attributes.keys().cloned().collect::<Vec<_>>().join(",");
        note("attributes", self.attributes != other.attributes, format!("{} / {}", keys(self), keys(other)));
        let lengths = format!("of {} / {} bytes", self.content.0, other.content.0);
        note("content", self.content != other.content, lengths);
        all
    }
}

fn digest(path: &Path) -> (u64, u64) {
    let bytes = fs::read(path).unwrap();
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    (bytes.len() as u64, hasher.finish())
}

fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut buffer = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut buffer[..]).unwrap();
    let names: Vec<Vec<u8>> = buffer[..length].split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    let named = names.into_iter().filter(|name| !name.is_empty()).map(|name| String::from_utf8(name).unwrap());
    named
        .map(|name| {
            let length = rustix::fs::lgetxattr(path, name.as_str(), &mut buffer[..]).unwrap();
            (name, buffer[..length].to_vec())
        })
        .collect()
}

/// All that is under a root, by path.
pub(crate) struct Tree(BTreeMap<PathBuf, Entry>);

impl Tree {
    pub(crate) fn of(root: &Path) -> Self {
        let mut all = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(path) = open.pop() {
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            // The root itself is the directory that the copy was made into.
            if path != root {
                all.insert(Path::new("/").join(path.strip_prefix(root).unwrap()), Entry::of(&path));
            }
        }
        Self(all)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A line for each thing that is not the same.
    pub(crate) fn differences(&self, other: &Self) -> BTreeSet<String> {
        let paths: BTreeSet<&PathBuf> = self.0.keys().chain(other.0.keys()).collect();
        let mut all = BTreeSet::new();
        for path in paths {
            let name = path.display();
            match (self.0.get(path), other.0.get(path)) {
                (Some(one), Some(two)) => {
                    all.extend(one.differs(two).into_iter().map(|what| format!("{name}: {what}")));
                }
                (Some(_), None) => drop(all.insert(format!("{name}: in the first only"))),
                (None, _) => drop(all.insert(format!("{name}: in the second only"))),
            }
        }
        all
    }
}

#[test]
fn each_kind_of_difference_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for root in [&one, &two] {
        fs::create_dir_all(root.join("d")).unwrap();
        fs::write(root.join("same"), "x").unwrap();
        fs::write(root.join("content"), "x").unwrap();
        fs::write(root.join("mode"), "x").unwrap();
        std::os::unix::fs::symlink("x", root.join("link")).unwrap();
    }
    assert_eq!(Tree::of(&one).differences(&Tree::of(&two)), BTreeSet::new());
    fs::write(two.join("content"), "y").unwrap();
    fs::set_permissions(two.join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::remove_file(two.join("link")).unwrap();
    std::os::unix::fs::symlink("y", two.join("link")).unwrap();
    fs::hard_link(two.join("same"), two.join("d/hard")).unwrap();
    let found = Tree::of(&one).differences(&Tree::of(&two));
    let wanted = [
        "/content: content of 1 / 1 bytes",
        "/d/hard: in the second only",
        "/link: kind link to x / link to y",
        "/mode: mode 644 / 600",
        "/same: names 1 / 2",
    ];
    assert_eq!(found, wanted.map(ToOwned::to_owned).into());
}
