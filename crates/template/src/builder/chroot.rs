//! How the volume is mounted and the chroot is set up.

use bakehouse_protocol::{
    DeferredTemplate, DeviceName,
    spec::{ChrootMount, ChrootSpec, DEFAULT_MOUNT_PATH, NO_WRAPPER},
};

use super::rules::Rules;
use crate::{options::Values, tree::Located};

impl Rules<'_> {
    pub(super) fn chroot(&self) -> ChrootSpec {
        let values = self.values;
        ChrootSpec {
            device_path: self.device_path(),
            device_name: values.string("device_path").map(|text| text.value),
            nvme_device_path: self.nvme_device_path(),
            mount_path: self.mount_path(),
            mount_partition: self.mount_partition(),
            mount_options: values
                .string_list("mount_options")
                .unwrap_or_default()
                .into_iter()
                .map(|o| o.value)
                .collect(),
            pre_mount_commands: commands(values, "pre_mount_commands"),
            post_mount_commands: commands(values, "post_mount_commands"),
            chroot_mounts: self.chroot_mounts(),
            copy_files: self.copy_files(),
            command_wrapper: self.command_wrapper(),
        }
    }

    /// Returns `device_path` in EC2's spelling: the first `/xvd` becomes `/sd`, as with Packer.
    fn device_path(&self) -> Option<DeviceName> {
        let text = self.values.string("device_path")?;
        match DeviceName::new(text.value.replacen("/xvd", "/sd", 1)) {
            Ok(name) => Some(name),
            Err(_) => {
                self.error(
                    &text.location,
                    format!("\"{}\" is not an attachment point", text.value),
                    "Write EC2's name, /dev/sdf to /dev/sdp. It need not be the device that the kernel shows: the disk \
                     is found by the volume's id.",
                );
                None
            }
        }
    }

    fn mount_path(&self) -> DeferredTemplate {
        let Some(path) = self.values.deferred("mount_path").filter(|path| !path.value.0.is_empty()) else {
            return DeferredTemplate(DEFAULT_MOUNT_PATH.to_owned());
        };
        if !path.value.0.starts_with(['/', '{']) {
            let message = format!("`mount_path` \"{}\" is not absolute", path.value.0);
            self.error(&path.location, message, "Write a path that starts with /.");
        } else if path.value.0.trim_end_matches('/').is_empty() {
            let message = "`mount_path` is the host's root directory".to_owned();
            self.error(&path.location, message, "Write a directory that nothing else uses, such as /mnt/image.");
        }
        path.value
    }

    /// Reads `chroot_mounts`. An empty list means the default mounts, as with Packer.
    fn chroot_mounts(&self) -> Option<Vec<ChrootMount>> {
        let rows = self.values.string_table("chroot_mounts").filter(|rows| !rows.is_empty())?;
        let mut mounts = Vec::new();
        for row in rows {
            match row.value.as_slice() {
                [kind, source, target] => {
                    self.check_path_in_image("the mount's target", target);
                    mounts.push(ChrootMount {
                        kind: kind.value.clone(),
                        source: source.value.clone(),
                        target: target.value.clone(),
                    });
                }
                parts => {
                    let message = format!("this mount has {} elements instead of 3", parts.len());
                    let help = "Write [type, source, path in the image], such as [\"bind\", \"/dev\", \"/dev\"].";
                    self.error(&row.location, message, help);
                }
            }
        }
        Some(mounts)
    }

    fn copy_files(&self) -> Option<Vec<String>> {
        let files = self.values.string_list("copy_files")?;
        for file in &files {
            self.check_path_in_image("the file", file);
        }
        Some(files.into_iter().map(|file| file.value).collect())
    }

    /// Checks that a path does not lead out of the image.
    fn check_path_in_image(&self, what: &str, path: &Located<String>) {
        if !path.value.starts_with('/') {
            let message = format!("{what} \"{}\" is not an absolute path", path.value);
            self.error(&path.location, message, "Write a path that starts with /.");
        } else if path.value.split('/').any(|part| part == "..") {
            let message = format!("{what} \"{}\" contains \"..\"", path.value);
            self.error(&path.location, message, "Write the path without \"..\".");
        }
    }

    fn command_wrapper(&self) -> DeferredTemplate {
        let Some(wrapper) = self.values.deferred("command_wrapper").filter(|wrapper| !wrapper.value.0.is_empty())
        else {
            return DeferredTemplate(NO_WRAPPER.to_owned());
        };
        if !wrapper.value.0.contains(".Command") {
            self.error(
                &wrapper.location,
                "`command_wrapper` does not contain {{.Command}}",
                "Without it no command would run. Write for instance \"nice {{.Command}}\".",
            );
        }
        wrapper.value
    }
}

fn commands(values: &Values, option: &str) -> Vec<DeferredTemplate> {
    values.deferred_list(option).unwrap_or_default().into_iter().map(|command| command.value).collect()
}
