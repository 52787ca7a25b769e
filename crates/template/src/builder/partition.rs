//! Which partition is the root: `mount_partition` and `nvme_device_path`.

use bakehouse_protocol::spec::MountPartition;

use super::rules::Rules;

impl Rules<'_> {
    /// Returns `nvme_device_path`.
    pub(super) fn nvme_device_path(&self) -> Option<String> {
        let path = self.values.string("nvme_device_path")?;
        let name = path.value.strip_prefix("/dev/").unwrap_or_default();
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            let message = format!("\"{}\" is not the path of a device", path.value);
            self.error(&path.location, message, "Write for instance \"/dev/nvme1n1p\".");
        }
        Some(path.value)
    }

    /// Returns the partition. Packer appends `mount_partition` to `nvme_device_path`, so 0 does not mean the whole disk
    /// if that path has a partition's number in it already.
    pub(super) fn mount_partition(&self) -> Option<MountPartition> {
        let in_path = self.values.string("nvme_device_path").and_then(|path| partition_of(&path.value));
        let Some(text) = self.values.string("mount_partition") else {
            return in_path.map(MountPartition::Number);
        };
        match (text.value.parse::<u32>(), in_path) {
            (Ok(0), Some(number)) => Some(MountPartition::Number(number)),
            (Ok(0), None) => Some(MountPartition::WholeDisk),
            (Ok(number), Some(other)) if number != other => {
                let message =
                    format!("`mount_partition` is {number}, but `nvme_device_path` leads to partition {other}");
                self.error(&text.location, message, "Write 0, or the path without the number: \"/dev/nvme1n1p\".");
                None
            }
            (Ok(number), _) if number <= 128 => Some(MountPartition::Number(number)),
            _ => {
                let message = format!("\"{}\" is not the number of a partition", text.value);
                let help =
                    "Write its number from 1 to 128, 0 for the whole disk, or remove the option to have it found.";
                self.error(&text.location, message, help);
                None
            }
        }
    }
}

/// Returns the partition that a device's path names: 2 of `/dev/nvme1n1p2` and of `/dev/xvdf2`.
fn partition_of(path: &str) -> Option<u32> {
    let name = path.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = path[name.len()..].parse().ok().filter(|number| *number != 0)?;
    let is_partition = match name.strip_suffix('p') {
        Some(disk) if disk.ends_with(|c: char| c.is_ascii_digit()) => true,
        // The `n` of `nvme1n1` counts namespaces.
        _ => !name.starts_with("/dev/nvme"),
    };
    is_partition.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_name_a_partition() {
        let found = ["/dev/nvme3n1p1", "/dev/nvme1n1p12", "/dev/xvdf2", "/dev/nvme1n1p", "/dev/nvme1n1", "/dev/xvdf"]
            .map(partition_of);
        assert_eq!(found, [Some(1), Some(12), Some(2), None, None, None]);
    }
}
