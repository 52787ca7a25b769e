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
fn links_stay_inside() {
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
    let mut made = Vec::new();
    image.make_file(Path::new("absolute"), &mut made).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "host");
    for made in made.iter().rev() {
        image.remove(made).unwrap();
    }
    let names: Vec<_> = fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "only the links and etc: {names:?}");
}

#[test]
fn what_was_made_is_removed_but_not_what_others_made_of_it() {
    let (_dir, image) = image();
    symlink("../run/systemd/resolve/stub-resolv.conf", image.path.join("etc/resolv.conf")).unwrap();
    let mut made = Vec::new();
    let real = image.make_file(Path::new("etc/resolv.conf"), &mut made).unwrap();
    assert_eq!(real, Path::new("run/systemd/resolve/stub-resolv.conf"));
    assert_eq!(made.len(), 4);
    fs::write(image.path.join("run/systemd/mine"), "").unwrap();
    for made in made.iter().rev() {
        image.remove(made).unwrap();
    }
    assert!(!image.exists("run/systemd/resolve") && image.exists("run/systemd/mine"));
    assert!(image.path.join("etc/resolv.conf").is_symlink());

    let mut made = Vec::new();
    image.make_file(Path::new("etc/x"), &mut made).unwrap();
    // Another file under the same name, while the first still exists, is surely not ours.
    fs::rename(image.path.join("etc/x"), image.path.join("etc/kept")).unwrap();
    fs::write(image.path.join("etc/x"), "theirs").unwrap();
    image.remove(&made[0]).unwrap();
    assert!(image.exists("etc/x"));
}
