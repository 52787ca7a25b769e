//! The names under which commands of a template know the volume's disk. Pure: what exists is an argument.
//!
//! With Packer `.Device` is `device_path`, or a free name such as `/dev/xvdf`, and templates append a partition's
//! number to it, or repeat the name by hand. On today's hosts the kernel has another name for the disk, `nvme1n1` or
//! `loop3`, whose partitions are named with a `p`. So the template's names are links to the kernel's.

use std::path::Path;

use crate::host::Disk;

/// The names of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceNames {
    /// `.Device` of commands of the host: a path in `/dev`.
    pub(crate) device: String,
    /// `.Device` of `mount_path`: a name without a directory.
    pub(crate) mount_name: String,
    /// Names in `/dev` that have to lead to the disk (0) or to its partition of this number.
    pub(crate) links: Vec<(String, u32)>,
}

/// Chooses the names of a disk. `kernel` is its path in `/dev`; `device_path` and `nvme_device_path` are the
/// template's; `exists` says whether there is something at a path.
pub(crate) fn choose(
    kernel: &Path,
    device_path: Option<&str>,
    nvme_device_path: Option<&str>,
    exists: impl Fn(&str) -> bool,
) -> DeviceNames {
    let kernel = kernel.display().to_string();
    let device = match device_path.filter(|path| name_in_dev(path).is_some()) {
        Some(path) => path.to_owned(),
        // A number that is appended to the kernel's name must not make it the name of another disk.
        None if ends_in_digit(&kernel) && (1..=9).any(|number| exists(&format!("{kernel}{number}"))) => {
            let free = |path: &String| !exists(path) && !exists(&format!("{path}1"));
            ('f'..='p').map(|letter| format!("/dev/xvd{letter}")).find(free).unwrap_or_else(|| kernel.clone())
        }
        None => kernel.clone(),
    };
    let mut links = Vec::new();
    let nvme = nvme_device_path.map(disk_of_nvme_path);
    for alias in [Some(device.as_str()), nvme].into_iter().flatten().filter_map(name_in_dev) {
        let is_kernels = Some(alias) == name_in_dev(&kernel);
        if !is_kernels {
            links.push((alias.to_owned(), 0));
        }
        for number in 1..=Disk::PARTITIONS {
            let names = [format!("{alias}{number}"), format!("{alias}p{number}")];
            // The kernel's own names stay as they are, and those of other disks, too.
            let [plain, with_p] = names;
            if !is_kernels || (ends_in_digit(alias) && !exists(&format!("/dev/{plain}"))) {
                links.push((plain, number));
            }
            if !is_kernels {
                links.push((with_p, number));
            }
        }
    }
    links.sort();
    links.dedup();
    let mount_name = name_of(nvme_device_path.unwrap_or(&device));
    DeviceNames { device, mount_name, links }
}

/// Returns the disk of which an `nvme_device_path` names a partition: `/dev/nvme1n1` for `/dev/nvme1n1p`, to which a
/// number is appended, and for `/dev/nvme1n1p1`.
fn disk_of_nvme_path(path: &str) -> &str {
    let without_number = path.trim_end_matches(|c: char| c.is_ascii_digit());
    without_number.strip_suffix('p').filter(|disk| ends_in_digit(disk)).unwrap_or(path)
}

fn ends_in_digit(name: &str) -> bool {
    name.ends_with(|c: char| c.is_ascii_digit())
}

/// Returns the name of a path that is directly in `/dev`.
fn name_in_dev(path: &str) -> Option<&str> {
    path.strip_prefix("/dev/").filter(|name| !name.is_empty() && !name.contains('/') && !name.starts_with('.'))
}

fn name_of(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(kernel: &str, device: Option<&str>, nvme: Option<&str>, existing: &[&str]) -> (DeviceNames, Vec<String>) {
        let names = choose(Path::new(kernel), device, nvme, |path| existing.contains(&path));
        let shown = names.links.iter().filter(|(_, number)| [0, 1].contains(number));
        let shown = shown.map(|(name, number)| format!("{name} -> {number}")).collect();
        (names, shown)
    }

    #[test]
    fn a_number_that_is_appended_leads_to_the_partition() {
        let (names, links) = chosen("/dev/nvme1n1", None, None, &[]);
        assert_eq!((names.device.as_str(), names.mount_name.as_str()), ("/dev/nvme1n1", "nvme1n1"));
        assert_eq!(links, ["nvme1n11 -> 1"]);
        let (names, links) = chosen("/dev/xvdf", None, None, &[]);
        assert_eq!((names.device.as_str(), links.len()), ("/dev/xvdf", 0));
    }

    #[test]
    fn the_name_of_another_disk_is_not_taken() {
        let (names, links) = chosen("/dev/loop1", None, None, &["/dev/loop11", "/dev/xvdf1"]);
        assert_eq!((names.device.as_str(), names.mount_name.as_str()), ("/dev/xvdg", "xvdg"));
        assert_eq!(links, ["xvdg -> 0", "xvdg1 -> 1", "xvdgp1 -> 1"]);
    }

    #[test]
    fn the_templates_own_names_lead_to_the_disk() {
        let (names, links) = chosen("/dev/nvme1n1", Some("/dev/xvdh"), None, &[]);
        assert_eq!((names.device.as_str(), names.mount_name.as_str()), ("/dev/xvdh", "xvdh"));
        assert_eq!(links, ["xvdh -> 0", "xvdh1 -> 1", "xvdhp1 -> 1"]);
        for path in ["/dev/nvme7n1p", "/dev/nvme7n1p1", "/dev/nvme7n1"] {
            let (names, links) = chosen("/dev/nvme1n1", Some("/dev/sdh"), Some(path), &[]);
            assert_eq!((names.device.as_str(), names.mount_name.as_str()), ("/dev/sdh", &path[5..]));
            let expected = ["nvme7n1 -> 0", "nvme7n11 -> 1", "nvme7n1p1 -> 1", "sdh -> 0", "sdh1 -> 1", "sdhp1 -> 1"];
            assert_eq!(links, expected, "{path}");
        }
        let (names, links) = chosen("/dev/nvme1n1", None, Some("/dev/nvme1n1p1"), &[]);
        assert_eq!((names.mount_name.as_str(), links), ("nvme1n1p1", vec!["nvme1n11 -> 1".to_owned()]));
    }
}
