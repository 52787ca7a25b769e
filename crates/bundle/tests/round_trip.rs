//! Packed files are unpacked unchanged, and a template loads from a bundle as from its own directory.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use bakehouse_bundle::{EntryKind, Limits, PackError, PackRequest, pack, relocate, source_files, unpack, verify};
use bakehouse_protocol::Timestamp;
use bakehouse_template::{Context, LoadRequest, Loaded, TemplateSource, load};
use tempfile::TempDir;

const TEMPLATE: &str = r#"{
  "variables": {"size": null, "who": "{{env `WHO`}}", "where": "{{template_dir}} {{pwd}}"},
  "builders": [{"type": "amazon-chroot", "ami_name": "web {{user `size`}} {{user `who`}}",
    "source_ami": "ami-01234567", "ami_description": "{{user `where`}}"}],
  "provisioners": [
    {"type": "shell", "scripts": ["setup.sh", "./setup.sh", "../up.sh"]},
    {"type": "file", "source": "files/", "destination": "/srv"},
    {"type": "file", "sources": ["files/sub/deep", "single"], "destination": "/opt/"}]
}"#;

struct Author {
    root: TempDir,
    here: PathBuf,
}

impl Author {
    fn new() -> Self {
        // The canonical path, so that links above the directory do not matter.
        let root = tempfile::tempdir().unwrap();
        let here = root.path().canonicalize().unwrap().join("web");
        fs::create_dir_all(here.join("files/sub/empty")).unwrap();
        fs::write(here.join("web.json"), TEMPLATE).unwrap();
        fs::write(here.join("sizes.json"), r#"{"size": "8"}"#).unwrap();
        fs::write(here.join("setup.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(here.join("setup.sh"), Permissions::from_mode(0o750)).unwrap();
        fs::write(here.join("../up.sh"), "#!/bin/sh\ntrue\n").unwrap();
        fs::write(here.join("files/motd"), "hello\n").unwrap();
        fs::write(here.join("files/sub/deep"), "deep\n").unwrap();
        symlink("sub/deep", here.join("files/link")).unwrap();
        symlink("files/motd", here.join("single")).unwrap();
        fs::write(here.join("not-named"), "secret").unwrap();
        Self { root, here }
    }

    fn load(&self) -> Loaded {
        load_at(&self.here, Path::new("/"), &BTreeMap::from([("WHO".to_owned(), "mo".to_owned())]))
    }

    fn request(&self) -> PackRequest {
        let loaded = self.load();
        PackRequest {
            recipe: "web.json".into(),
            template: "web.json".into(),
            working_directory: self.here.clone(),
            vars: BTreeMap::from([("name".to_owned(), "value".to_owned())]),
            var_files: vec!["sizes.json".into()],
            environment: BTreeMap::from([("WHO".to_owned(), "mo".to_owned())]),
            files: source_files(&loaded.builds),
            ..PackRequest::default()
        }
    }

    fn inside(&self, path: &str) -> String {
        self.here.join(path).strip_prefix("/").unwrap().to_str().unwrap().to_owned()
    }
}

fn load_at(here: &Path, root: &Path, environment: &BTreeMap<String, String>) -> Loaded {
    let context = Context {
        now: Timestamp(1_795_382_529_195),
        environment: environment.clone(),
        working_directory: here.to_owned(),
        uuid_seed: 7,
        root: root.to_owned(),
    };
    let template = TemplateSource::Path(here.join("web.json"));
    load(&LoadRequest { var_files: vec![here.join("sizes.json")], ..LoadRequest::new(template, context) }).unwrap()
}

#[test]
fn a_template_loads_from_its_bundle_as_from_its_own_directory() {
    let author = Author::new();
    let packed = pack(&author.request()).unwrap();
    verify(&packed.bytes, &packed.reference()).unwrap();

    let host = tempfile::tempdir().unwrap();
    let dir = host.path().join("bundle");
    let manifest = unpack(&*packed.bytes, &dir, &Limits::default()).unwrap();
    assert_eq!(manifest, packed.manifest);
    assert_eq!(manifest.template, author.here.join("web.json").to_str().unwrap());
    assert_eq!(manifest.var_files, [author.here.join("sizes.json").to_str().unwrap()]);

    let own = author.load();
    // The files are removed, so that reading one at its own path fails.
    let here = author.here.clone();
    let inside = |path: &str| author.inside(path);
    let expected = [
        inside("setup.sh"),
        inside("setup.sh"),
        inside("../up.sh").replace("web/../", ""),
        inside("files"),
        inside("files/sub/deep"),
        inside("single"),
    ];
    author.root.close().unwrap();
    let mut there = load_at(&here, &dir, &manifest.environment);
    assert_eq!(there.builds, own.builds);

    relocate(&mut there.builds[0], &dir).unwrap();
    let paths: Vec<String> = there.builds[0].source_files_mut().map(|file| file.path.clone()).collect();
    assert_eq!(paths, expected);
    for path in &paths {
        assert!(dir.join(path).exists(), "{path}");
    }
}

#[test]
fn modes_links_and_content_are_kept() {
    let author = Author::new();
    fs::set_permissions(author.here.join("files/sub/empty"), Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(author.here.join("files/sub"), Permissions::from_mode(0o555)).unwrap();
    let packed = pack(&author.request()).unwrap();
    let host = tempfile::tempdir().unwrap();
    let dir = host.path().join("bundle");
    unpack(&*packed.bytes, &dir, &Limits::default()).unwrap();
    let at = |path: &str| dir.join(author.inside(path));
    let mode = |path: PathBuf| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(dir.clone()), 0o700);
    assert_eq!(mode(at("setup.sh")), 0o750);
    assert_eq!(mode(at("files/sub")), 0o555);
    assert_eq!(mode(at("files/sub/empty")), 0o1777);
    assert_eq!(fs::read_to_string(at("files/motd")).unwrap(), "hello\n");
    assert_eq!(fs::read_link(at("files/link")).unwrap(), Path::new("sub/deep"));
    // A link that the template names is followed.
    assert!(fs::symlink_metadata(at("single")).unwrap().is_file());
    assert!(!at("not-named").exists());
    let entries: Vec<(&str, &EntryKind)> =
        packed.entries.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
    assert!(entries.is_sorted_by_key(|(path, _)| *path));
    assert!(entries.contains(&(author.inside("files/link").as_str(), &EntryKind::Link("sub/deep".into()))));
    bakehouse_bundle::remove(&dir).unwrap();
    assert!(!dir.exists());
    fs::set_permissions(author.here.join("files/sub"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let author = Author::new();
    let first = pack(&author.request()).unwrap();
    // Different times, order and inodes.
    let content = fs::read(author.here.join("files/motd")).unwrap();
    fs::remove_file(author.here.join("files/motd")).unwrap();
    fs::write(author.here.join("files/motd"), content).unwrap();
    let mut request = author.request();
    request.files.reverse();
    let second = pack(&request).unwrap();
    assert_eq!(first.sha256, second.sha256);
    assert_eq!(first.bytes, second.bytes);
    assert_eq!(first.reference().key, format!("bundles/{}.tar.gz", first.sha256));
    fs::write(author.here.join("files/motd"), "other\n").unwrap();
    assert_ne!(pack(&author.request()).unwrap().sha256, first.sha256);
}

#[test]
fn a_template_from_standard_input() {
    let author = Author::new();
    let mut request = author.request();
    request.template = "standard input".into();
    request.text = Some(TEMPLATE.into());
    let packed = pack(&request).unwrap();
    let host = tempfile::tempdir().unwrap();
    let manifest = unpack(&*packed.bytes, &host.path().join("b"), &Limits::default()).unwrap();
    assert_eq!(manifest.template, author.here.join("standard input").to_str().unwrap());
    let inside = author.inside("standard input");
    assert_eq!(fs::read_to_string(host.path().join("b").join(inside)).unwrap(), TEMPLATE);
}

fn rejection(author: &Author, files: &[&str]) -> String {
    let mut request = author.request();
    request.files = files.iter().map(PathBuf::from).collect();
    pack(&request).unwrap_err().to_string()
}

#[test]
fn unsupported_files_are_rejected() {
    let author = Author::new();
    let here = author.here.display().to_string();
    for (target, fine) in
        [("../up.sh", false), ("/etc/passwd", false), ("sub/../motd", false), ("./motd", true), ("absent", true)]
    {
        symlink(target, author.here.join("files/odd")).unwrap();
        let mut request = author.request();
        request.files = vec!["files".into()];
        match (pack(&request), fine) {
            (Ok(_), true) => {}
            (Err(error), false) => {
                let text = error.to_string();
                assert!(text.starts_with(&format!("{here}/files/odd cannot be put into a bundle")), "{text}");
                assert!(text.contains(target), "{text}");
            }
            (other, _) => panic!("{target}: {other:?}"),
        }
        fs::remove_file(author.here.join("files/odd")).unwrap();
    }
    nix::unistd::mkfifo(&author.here.join("files/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(rejection(&author, &["files"]), format!("{here}/files/pipe cannot be put into a bundle: it is a FIFO"));
    fs::remove_file(author.here.join("files/pipe")).unwrap();
    assert_eq!(rejection(&author, &["/dev/null"]), "/dev/null cannot be put into a bundle: it is a device");
    assert_eq!(rejection(&author, &["/"]), "/ cannot be put into a bundle: it is the root directory");
    assert!(
        rejection(&author, &["absent"]).starts_with(&format!("reading {here}/absent for the bundle: No such file"))
    );
    fs::set_permissions(author.here.join("files/motd"), Permissions::from_mode(0o4755)).unwrap();
    assert!(
        rejection(&author, &["files"])
            .starts_with(&format!("{here}/files/motd cannot be put into a bundle: it is set-"))
    );
    use std::os::unix::ffi::OsStrExt as _;
    fs::set_permissions(author.here.join("files/motd"), Permissions::from_mode(0o644)).unwrap();
    fs::write(author.here.join("files").join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    assert!(rejection(&author, &["files"]).ends_with("its name is not UTF-8"));
}

/// A link in an uploaded directory may also be named by itself, in any order, and so may files below it.
#[test]
fn links_that_are_also_named_by_themselves() {
    let author = Author::new();
    symlink("sub", author.here.join("files/other")).unwrap();
    let named = ["files", "files/link", "files/other", "files/other/deep", "files/sub/deep"];
    let mut digests = Vec::new();
    for turn in 0..named.len() {
        let mut request = author.request();
        let mut files = named.map(PathBuf::from).to_vec();
        files.rotate_left(turn);
        request.files = files;
        let packed = pack(&request).unwrap();
        let host = tempfile::tempdir().unwrap();
        unpack(&*packed.bytes, &host.path().join("b"), &Limits::default()).unwrap();
        let deep = host.path().join("b").join(author.inside("files/other/deep"));
        assert_eq!(fs::read_to_string(deep).unwrap(), "deep\n");
        digests.push(packed.sha256);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn two_files_with_one_path_in_the_bundle() {
    let author = Author::new();
    // elsewhere/.. is /…/far for the kernel, but looks like the author's directory.
    fs::create_dir_all(author.here.join("../far/dir")).unwrap();
    fs::write(author.here.join("../far/setup.sh"), "another\n").unwrap();
    symlink("../far/dir", author.here.join("elsewhere")).unwrap();
    let mut request = author.request();
    request.files = vec!["setup.sh".into(), "elsewhere/../setup.sh".into()];
    let error = pack(&request).unwrap_err();
    assert!(matches!(error, PackError::Conflict { .. }), "{error}");
    assert!(error.to_string().contains("elsewhere/../setup.sh would both be"), "{error}");
}

#[test]
fn exceeding_a_limit_names_the_largest_files() {
    let author = Author::new();
    // Content that does not compress.
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..200_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    fs::write(author.here.join("files/noise"), noise).unwrap();
    let mut request = author.request();
    request.limits.packed = 100_000;
    let text = pack(&request).unwrap_err().to_string();
    let noise = format!("/{} (195.3 KiB)", author.inside("files/noise"));
    let expected = format!("the bundle would have more than 97.6 KiB; the largest files: {noise}, ");
    assert!(text.starts_with(&expected), "{text}");
    request.limits = Limits { unpacked: 150_000, ..Limits::default() };
    let text = pack(&request).unwrap_err().to_string();
    assert!(text.starts_with("the bundle would have more than 146.4 KiB of files; the largest"), "{text}");
    request.limits = Limits { entries: 3, ..Limits::default() };
    assert!(pack(&request).unwrap_err().to_string().starts_with("the bundle would have more than 3 files"));
    // The archive's headers count, too, so that a bundle can be unpacked with the same limits.
    request.limits = Limits { unpacked: 202_000, ..Limits::default() };
    assert!(matches!(pack(&request), Err(PackError::TooLarge { .. })));
}

#[test]
fn long_names() {
    let author = Author::new();
    let deep = format!("files/{}", vec!["d".repeat(120); 12].join("/"));
    fs::create_dir_all(author.here.join(&deep)).unwrap();
    fs::write(author.here.join(&deep).join("f".repeat(200)), "far").unwrap();
    symlink("g".repeat(250), author.here.join("files/long")).unwrap();
    let packed = pack(&author.request()).unwrap();
    let host = tempfile::tempdir().unwrap();
    let dir = host.path().join("b");
    unpack(&*packed.bytes, &dir, &Limits::default()).unwrap();
    let file = dir.join(author.inside(&deep)).join("f".repeat(200));
    assert_eq!(fs::read_to_string(file).unwrap(), "far");
    assert_eq!(fs::read_link(dir.join(author.inside("files/long"))).unwrap().to_str().unwrap().len(), 250);
}

#[test]
fn a_file_that_is_not_in_the_bundle() {
    let author = Author::new();
    let mut request = author.request();
    request.files.pop();
    let packed = pack(&request).unwrap();
    let host = tempfile::tempdir().unwrap();
    unpack(&*packed.bytes, &host.path().join("b"), &Limits::default()).unwrap();
    let mut builds = author.load().builds;
    let error = relocate(&mut builds[0], &host.path().join("b")).unwrap_err();
    assert_eq!(error.path, "single");
    assert_eq!(error.to_string(), "the template names single, which is not in its bundle");
}

#[test]
fn a_changed_object_is_not_the_bundle() {
    let author = Author::new();
    let packed = pack(&author.request()).unwrap();
    let reference = packed.reference();
    let mut changed = packed.bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let error = verify(&changed, &reference).unwrap_err().to_string();
    assert!(error.contains("its SHA-256 is") && error.contains(&reference.key), "{error}");
    changed.pop();
    assert!(verify(&changed, &reference).unwrap_err().to_string().contains("bytes, not"));
}
