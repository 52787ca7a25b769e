//! Paths in an image whose symbolic links lead outside, and the removal of created files.

use super::*;
use std::{fs, os::unix::fs::symlink};

fn image() -> (tempfile::TempDir, Image) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    let image = Image::open_root(&root).unwrap();
    (dir, image)
}

#[test]
fn symbolic_links_never_lead_to_the_host() {
    let (dir, image) = image();
    fs::write(dir.path().join("secret"), "host").unwrap();
    let root = &image.path;
    symlink(dir.path().join("secret"), root.join("absolute")).unwrap();
    symlink("../../../../../../../../etc/new", root.join("etc/up")).unwrap();
    symlink("/loop", root.join("loop")).unwrap();
    assert!(!image.exists("absolute"));
    assert_eq!(image.resolve(Path::new("/etc/up")).unwrap(), Path::new("etc/new"));
    assert_eq!(image.resolve(Path::new("/../etc/./x/../y")).unwrap(), Path::new("etc/y"));
    assert_eq!(image.resolve(Path::new("loop/x")).unwrap_err().raw_os_error(), Some(Errno::ELOOP as i32));
    let mut created = Vec::new();
    image.create_file(Path::new("absolute"), &mut created).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "host");
    for created in created.iter().rev() {
        image.remove_created(created).unwrap();
    }
    let names: Vec<_> = fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "only the links and etc: {names:?}");
}

#[test]
fn only_what_the_agent_created_is_removed() {
    let (_dir, image) = image();
    symlink("../run/systemd/resolve/stub-resolv.conf", image.path.join("etc/resolv.conf")).unwrap();
    let mut created = Vec::new();
    let real = image.create_file(Path::new("etc/resolv.conf"), &mut created).unwrap();
    assert_eq!(real, Path::new("run/systemd/resolve/stub-resolv.conf"));
    assert_eq!(created.len(), 4);
    fs::write(image.path.join("run/systemd/mine"), "").unwrap();
    for created in created.iter().rev() {
        image.remove_created(created).unwrap();
    }
    assert!(!image.exists("run/systemd/resolve") && image.exists("run/systemd/mine"));
    assert!(image.path.join("etc/resolv.conf").is_symlink());

    let mut created = Vec::new();
    image.create_file(Path::new("etc/x"), &mut created).unwrap();
    // Another file of the same name, while the first still exists, is not the one that was created.
    fs::rename(image.path.join("etc/x"), image.path.join("etc/kept")).unwrap();
    fs::write(image.path.join("etc/x"), "theirs").unwrap();
    image.remove_created(&created[0]).unwrap();
    assert!(image.exists("etc/x"));
}
