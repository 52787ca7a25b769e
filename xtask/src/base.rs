//! A real Debian system on a raw disk, made by `examples/base.json`'s own commands but without bakehouse: for tests
//! that need one, and to tell a mistake in the template from one in bakehouse.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::sh::{self, Error, Result};

/// The template's folder.
pub(crate) fn examples() -> PathBuf {
    sh::root().join("examples")
}

/// This host's distribution, as in image names: `debian-12`, `ubuntu-24.04`.
pub(crate) fn system() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    match (field("ID"), field("VERSION_ID")) {
        (Some(id), Some(version)) => format!("{id}-{version}"),
        (Some(id), None) => id,
        _ => "debian".to_owned(),
    }
}

/// A digest of everything that decides what the base will be, except the packages' own versions: the template, its
/// script, and the host's distribution.
pub(crate) fn recipe() -> Result<String> {
    let mut text = system().into_bytes();
    for file in ["base.json", "base/make-root.sh"] {
        let path = examples().join(file);
        text.extend(fs::read(&path).map_err(Error::file("read", &path))?);
    }
    // FNV-1a: it tells recipes apart, it need not withstand anyone.
    let digest = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    Ok(format!("{digest:016x}"))
}

/// Returns the base's raw disk, built now or by an earlier run of the same recipe.
pub(crate) fn cached() -> Result<PathBuf> {
    let path = sh::target()?.join(format!("xtask/base-{}.raw", recipe()?));
    if path.exists() {
        eprintln!("base: from an earlier run, {}", path.display());
    } else {
        make(&path)?;
    }
    Ok(path)
}

/// Makes the base's raw disk. The file is there only once it is whole.
///
/// # Errors
/// `Unready` if this is not root; else what failed.
pub(crate) fn make(out: &Path) -> Result<()> {
    if !sh::is_root() {
        return Err(Error::Unready("only root can attach and mount a disk".to_owned()));
    }
    let template = examples().join("base.json");
    let text = fs::read_to_string(&template).map_err(Error::file("read", &template))?;
    let template: Value = serde_json::from_str(&text)
        .map_err(|source| Error::Answer { command: format!("{}", template.display()), source })?;
    let builder = &template["builders"][0];

    eprintln!("base: making {}", out.display());
    let directory = out.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(Error::file("make", directory))?;
    let part = Scratch(out.with_extension(format!("{}.part", std::process::id())));
    let file = fs::File::create(&part.0).map_err(Error::file("make", &part.0))?;
    let gibibytes = builder["root_volume_size"].as_u64().unwrap_or(2);
    file.set_len(gibibytes << 30).map_err(Error::file("size", &part.0))?;

    let device = sh::output(sh::command("losetup").args(["--find", "--show"]).arg(&part.0))?;
    let device = Attached(device.trim().to_owned());
    host_commands(&builder["pre_mount_commands"], &device.0, "")?;
    let mount_path = out.with_extension(format!("{}.mnt", std::process::id()));
    fs::create_dir_all(&mount_path).map_err(Error::file("make", &mount_path))?;
    let mount_path = Mounted(mount_path);
    sh::output(sh::command("mount").arg(format!("{}p1", device.0)).arg(&mount_path.0))?;
    host_commands(&builder["post_mount_commands"], &device.0, &mount_path.0.to_string_lossy())?;
    sh::output(sh::command("umount").arg(&mount_path.0))?;
    drop(mount_path);
    drop(device);
    fs::rename(&part.0, out).map_err(Error::file("name", out))
}

/// Runs a template's commands with what bakehouse would fill in.
fn host_commands(commands: &Value, device: &str, mount_path: &str) -> Result<()> {
    let folder = examples();
    for line in commands.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let line = line
            .replace("{{.Device}}", device)
            .replace("{{.MountPath}}", mount_path)
            .replace("{{template_dir}}", &folder.to_string_lossy());
        sh::output(sh::command("sh").args(["-ec", &line]))?;
    }
    Ok(())
}

/// Ends a command whose failure changes nothing any more.
fn quietly(command: &mut Command) {
    let _ = sh::output(command);
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

struct Attached(String);

impl Drop for Attached {
    fn drop(&mut self) {
        quietly(sh::command("partx").args(["--delete", &self.0]));
        quietly(sh::command("losetup").args(["--detach", &self.0]));
    }
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // It is unmounted already unless a command failed; then it may be mounted, with mounts below.
        if fs::remove_dir(&self.0).is_err() {
            quietly(sh::command("umount").arg("--recursive").arg(&self.0));
            let _ = fs::remove_dir(&self.0);
        }
    }
}
