//! Chooses the partition with the root file system. Pure: what the disk contains is an argument.

use std::fmt::Write;

use bakehouse_disk::{Filesystem, Partition, Table};
use bakehouse_protocol::spec::{MountPartition, Virtualization};

use crate::error::JobError;

/// The GPT types of a Linux root partition for x86-64, arm64 and x86 (UAPI Group, Discoverable Partitions
/// Specification).
const ROOT_TYPES: [&str; 3] = [
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "b921b045-1df0-41c3-af44-4c6f280d3fae",
    "44479540-f297-41b2-9af7-d131d5f0458a",
];
/// The labels of root file systems in the images of Ubuntu and Debian, Fedora and RHEL, and Amazon Linux.
const ROOT_LABELS: [&str; 3] = ["cloudimg-rootfs", "root", "/"];

/// What a disk contains.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskContents {
    pub(crate) table: Option<Table>,
    /// The file system on the disk as a whole.
    pub(crate) whole: Option<Filesystem>,
    /// The file system on each partition of the table, in the same order.
    pub(crate) partitions: Vec<Option<Filesystem>>,
}

/// The chosen root file system, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootChoice {
    /// The partition; `None`: the whole disk.
    pub(crate) partition: Option<u32>,
    pub(crate) filesystem: Filesystem,
    /// Why it was chosen, for a note.
    pub(crate) reason: &'static str,
}

impl DiskContents {
    /// Returns each partition with its file system.
    fn partitions(&self) -> impl Iterator<Item = (&Partition, Option<&Filesystem>)> {
        let partitions = self.table.iter().flat_map(|table| &table.partitions);
        partitions.zip(self.partitions.iter().map(Option::as_ref))
    }

    /// Lists the partitions in one line: number, size, file system and label of each.
    fn describe(&self) -> String {
        let Some(table) = &self.table else {
            let whole = self.whole.as_ref().map_or("nothing known", |fs| fs.kind);
            return format!("no partition table; the disk holds {whole}");
        };
        let mut list = format!("{} table:", table.kind.as_str());
        for (partition, content) in self.partitions() {
            let kind = content.map_or("no file system", |fs| fs.kind);
            let label = content.and_then(|fs| fs.label.as_deref()).or(partition.name.as_deref());
            let _ = write!(list, " {}: {} {kind}", partition.number, size(partition.length));
            let _ = label.map(|label| write!(list, " \"{label}\""));
            list.push(';');
        }
        if table.partitions.is_empty() {
            list.push_str(" no partitions");
        }
        list.trim_end_matches(';').to_owned()
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mib @ 1..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}

/// Chooses the root file system. The error says why none can be chosen, and what the disk contains.
pub(crate) fn choose(
    disk: &DiskContents,
    requested: Option<MountPartition>,
    virtualization: Virtualization,
) -> Result<RootChoice, JobError> {
    match (requested, virtualization) {
        // As with Packer, a paravirtual image has no partitions, whatever mount_partition says.
        (_, Virtualization::Paravirtual) => choose_whole_disk(disk, "a paravirtual image's root is the whole disk"),
        (Some(MountPartition::WholeDisk), _) => choose_whole_disk(disk, "mount_partition is 0"),
        (Some(MountPartition::Number(number)), _) => {
            let partition = disk.partitions().find(|(partition, _)| partition.number == number);
            let (_, content) = partition.ok_or_else(|| {
                JobError::new(format!(
                    "there is no partition {number}, which mount_partition asks for; {}",
                    disk.describe()
                ))
            })?;
            mountable(disk, Some(number), content, "mount_partition asks for it")
        }
        (None, Virtualization::Hvm) if disk.table.is_none() => {
            choose_whole_disk(disk, "the disk has no partition table")
        }
        (None, Virtualization::Hvm) => choose_partition(disk),
    }
}

fn choose_whole_disk(disk: &DiskContents, reason: &'static str) -> Result<RootChoice, JobError> {
    mountable(disk, None, disk.whole.as_ref(), reason)
}

/// Checks that what is at the chosen place can be mounted.
fn mountable(
    disk: &DiskContents,
    partition: Option<u32>,
    content: Option<&Filesystem>,
    reason: &'static str,
) -> Result<RootChoice, JobError> {
    let location = partition.map_or("the disk".to_owned(), |number| format!("partition {number}"));
    match content {
        Some(fs) if is_container(fs) => Err(JobError::with_hint(
            format!("{location} holds {}, which can't be mounted directly; {}", fs.kind, disk.describe()),
            "roots in LVM, LUKS or RAID are not supported yet",
        )),
        Some(fs) if fs.kind == "swap" => Err(JobError::new(format!("{location} is swap space; {}", disk.describe()))),
        Some(fs) => Ok(RootChoice { partition, filesystem: fs.clone(), reason }),
        None => Err(JobError::with_hint(
            format!("there is no file system on {location}; {}", disk.describe()),
            "make one in pre_mount_commands, or name the right place with mount_partition",
        )),
    }
}

fn is_container(fs: &Filesystem) -> bool {
    matches!(fs.kind, "LVM2_member" | "crypto_LUKS" | "linux_raid_member")
}

fn choose_partition(disk: &DiskContents) -> Result<RootChoice, JobError> {
    let candidates: Vec<_> = disk
        .partitions()
        .filter_map(|(partition, content)| content.filter(|fs| fs.is_linux_root_kind()).map(|fs| (partition, fs)))
        .collect();
    let has_type = |p: &Partition, _: &Filesystem| ROOT_TYPES.contains(&p.type_id.as_str());
    let has_label = |_: &Partition, fs: &Filesystem| fs.label.as_deref().is_some_and(|l| ROOT_LABELS.contains(&l));
    let any = |_: &Partition, _: &Filesystem| true;
    type Rule<'a> = &'a dyn Fn(&Partition, &Filesystem) -> bool;
    let rules: [(Rule<'_>, &'static str); 3] = [
        (&has_type, "its GPT type says Linux root"),
        (&has_label, "its label says root"),
        (&any, "it is the only partition with a Linux file system"),
    ];
    for (rule, reason) in rules {
        let mut matching = candidates.iter().filter(|(partition, fs)| rule(partition, fs));
        if let (Some((partition, fs)), None) = (matching.next(), matching.next()) {
            return Ok(RootChoice { partition: Some(partition.number), filesystem: (*fs).clone(), reason });
        }
    }
    if candidates.is_empty() {
        let container = disk.partitions().find(|(_, content)| content.is_some_and(is_container));
        return match container {
            Some((partition, content)) => mountable(disk, Some(partition.number), content, ""),
            None => Err(JobError::with_hint(
                format!("no partition has a Linux file system; {}", disk.describe()),
                "make one in pre_mount_commands, or name the right place with mount_partition",
            )),
        };
    }
    Err(JobError::with_hint(
        format!("it is not clear which partition is the root; {}", disk.describe()),
        "set mount_partition to its number",
    ))
}

#[cfg(test)]
#[path = "root_selection_tests.rs"]
mod tests;
