//! Importing, exporting and removing images.

use std::{fs::File, os::unix::fs::FileExt, path::Path, process::Command};

use bakehouse_protocol::{ImageId, Region, SnapshotId};

use super::{
    cloud::LocalCloud,
    copy::{GIB, Holes},
    error::LocalError,
    partial::Partial,
    state::sync_dir,
};
use crate::{
    ApiError,
    model::{DiskId, Import},
    resource::Image,
};

impl LocalCloud {
    /// Imports a disk as an image, available at once: raw, or qcow2 (with qemu-img). `import.size` is set to the size
    /// of the disk, rounded up to GiB. Blocks of zeroes become holes.
    ///
    /// # Errors
    /// [`LocalError::NotADisk`] for an empty file or a qcow2 image with other files in it; [`LocalError::Io`];
    /// [`LocalError::Program`] if qemu-img is missing or fails; [`LocalError::Api`] for a name that is taken or
    /// malformed.
    pub fn import_disk(&self, region: &Region, path: &Path, import: Import) -> Result<Image, LocalError> {
        let source = File::open(path).map_err(LocalError::io("opening", path))?;
        let metadata = source.metadata().map_err(LocalError::io("reading", path))?;
        let refuse = |reason| Err(LocalError::NotADisk { path: path.to_owned(), reason });
        if !metadata.is_file() {
            return refuse("is not a file");
        }
        if metadata.len() == 0 {
            return refuse("is empty");
        }
        let mut magic = [0; 4];
        if source.read_at(&mut magic, 0).map_err(LocalError::io("reading", path))? == 4 && &magic == b"QFI\xfb" {
            if qcow2_has_other_files(path)? {
                return refuse(
                    "is a qcow2 image that depends on another file; flatten it first: qemu-img convert -O qcow2",
                );
            }
            let raw = Partial::create(&self.dir.join("snapshots").join("converted"), &self.owner)?;
            qemu_img(&["convert", "-f", "qcow2", "-O", "raw"], &[path, raw.path()])?;
            return self.import_disk(region, raw.path(), import);
        }
        let size = u32::try_from(metadata.len().div_ceil(GIB)).or_else(|_| refuse_size(path))?;
        let import = Import { size, ..import };
        // The name is checked before the long copy, and again after it.
        self.view()?.import_image(self.now(), region, &import)?;

        let partial = Partial::create(&self.dir.join("snapshots").join("import"), &self.owner)?;
        partial.fill(&source, u64::from(size) * GIB, Holes::AndZeroes)?;
        partial.seal()?;
        let mut partial = Some(partial);
        let mut made = Vec::new();
        let image = self.change(|model, now| {
            let image = model.import_image(now, region, &import)?;
            if let Some((id, mut partial)) = image.root_snapshot().zip(partial.take()) {
                let path = self.snapshot_path(id);
                partial.set_target(&path, &self.owner)?;
                partial.link_to(&path)?;
                made.push((DiskId::Snapshot(id.clone()), partial));
                sync_dir(&self.dir.join("snapshots"))?;
            }
            Ok(image)
        });
        self.finish(made, image.is_ok());
        image
    }

    /// Finds an image in any region.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`.
    pub fn find_image(&self, id: &ImageId) -> Result<(Region, Image), LocalError> {
        let regions = self.everything()?;
        let found = regions
            .into_iter()
            .find_map(|it| Some((it.region, it.images.into_iter().find(|image| image.image_id == *id)?)));
        let missing =
            || ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist in any region"));
        Ok(found.ok_or_else(missing)?)
    }

    /// Writes an image's root disk to a file: qcow2 if its name ends in `.qcow2` (with qemu-img), else raw and sparse.
    /// An existing file is replaced when the new one is complete.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`; [`LocalError::Io`]; [`LocalError::Program`] if qemu-img is missing or fails.
    pub fn export(&self, id: &ImageId, target: &Path) -> Result<(), LocalError> {
        let snapshot = self.root_snapshot(id)?;
        let path = self.snapshot_path(&snapshot);
        let source = File::open(&path).map_err(LocalError::disk("opening", &path))?;
        let length = source.metadata().map_err(LocalError::io("reading", &path))?.len();
        let partial = Partial::create(target, &self.owner)?;
        if target.extension().is_some_and(|it| it == "qcow2") {
            qemu_img(&["convert", "-f", "raw", "-O", "qcow2"], &[&path, partial.path()])?;
        } else {
            partial.fill(&source, length, Holes::Keep)?;
        }
        partial.rename_to(target)
    }

    fn root_snapshot(&self, id: &ImageId) -> Result<SnapshotId, LocalError> {
        let (_, image) = self.find_image(id)?;
        let missing =
            || ApiError::new("InvalidBlockDeviceMapping", format!("The image {id} has no snapshot for its root"));
        Ok(image.root_snapshot().cloned().ok_or_else(missing)?)
    }

    /// Removes an image of any account and its snapshots.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`.
    pub fn remove(&self, id: &ImageId) -> Result<(), LocalError> {
        let (region, _) = self.find_image(id)?;
        self.change(|model, now| Ok(model.remove_image(now, &region, id)?))
    }
}

/// Runs qemu-img and returns its output.
fn qemu_img(arguments: &[&str], paths: &[&Path]) -> Result<Vec<u8>, LocalError> {
    let failed = |message| LocalError::Program { program: "qemu-img", message };
    let run = Command::new("qemu-img").args(arguments).args(paths).output();
    let output = run.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Whether a qcow2 image has content in other files. An untrusted image could name any file of this host, and qemu-img
/// would copy it in.
fn qcow2_has_other_files(path: &Path) -> Result<bool, LocalError> {
    let facts = qemu_img(&["info", "-U", "-f", "qcow2", "--output=json"], &[path])?;
    let failed = |error: serde_json::Error| LocalError::Program { program: "qemu-img", message: error.to_string() };
    let facts: serde_json::Value = serde_json::from_slice(&facts).map_err(failed)?;
    let data_file = facts.pointer("/format-specific/data/data-file").or_else(|| facts.get("data-file"));
    Ok(facts.get("backing-filename").is_some() || data_file.is_some())
}

fn refuse_size(path: &Path) -> Result<u32, LocalError> {
    Err(LocalError::NotADisk { path: path.to_owned(), reason: "is too large for a volume" })
}
