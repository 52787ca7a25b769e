//! Which partition holds the root file system. Pure: it is given what was found on the disk.

use std::fmt::Write;

use bakehouse_disk::{Filesystem, Partition, Table};
use bakehouse_protocol::{
    Bytes,
    spec::{MountPartition, Virtualization},
};

use crate::error::JobError;

/// GPT types of a Linux root partition (UAPI group, Discoverable Partitions Specification): x86-64, arm64, x86.
const ROOT_TYPES: [&str; 3] = [
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "b921b045-1df0-41c3-af44-4c6f280d3fae",
    "44479540-f297-41b2-9af7-d131d5f0458a",
];
/// Labels that say "root": Ubuntu's and Debian's cloud images, Fedora's and RHEL's, Amazon Linux's.
const ROOT_LABELS: [&str; 3] = ["cloudimg-rootfs", "root", "/"];

/// What is on a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) table: Option<Table>,
    /// What the disk as a whole holds.
    pub(crate) whole: Option<Filesystem>,
    /// What each partition of the table holds, in the same order.
    pub(crate) contents: Vec<Option<Filesystem>>,
}

/// The chosen place of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The partition; `None`: the whole disk.
    pub(crate) partition: Option<u32>,
    pub(crate) filesystem: Filesystem,
    /// Why this one, for a person.
    pub(crate) because: &'static str,
}

impl Seen {
    fn partitions(&self) -> impl Iterator<Item = (&Partition, Option<&Filesystem>)> {
        let partitions = self.table.iter().flat_map(|table| &table.partitions);
        partitions.zip(self.contents.iter().map(Option::as_ref))
    }

    /// One line for each partition: number, size, type, label.
    fn list(&self) -> String {
        let Some(table) = &self.table else {
            let holds = self.whole.as_ref().map_or("nothing known", |fs| fs.kind);
            return format!("no partition table; the disk holds {holds}");
        };
        let mut list = format!("{} table:", table.kind.as_str());
        for (partition, content) in self.partitions() {
            let kind = content.map_or("no file system", |fs| fs.kind);
            let label = content.and_then(|fs| fs.label.as_deref()).or(partition.name.as_deref());
            let _ = write!(list, " {}: {} {kind}", partition.number, Bytes(partition.length));
            let _ = label.map(|label| write!(list, " \"{label}\""));
            list.push(';');
        }
        if table.partitions.is_empty() {
            list.push_str(" no partitions");
        }
        list.trim_end_matches(';').to_owned()
    }
}

/// Chooses, or says why it can't and what there is.
pub(crate) fn root(
    seen: &Seen,
    asked: Option<MountPartition>,
    virtualization: Virtualization,
) -> Result<Choice, JobError> {
    match (asked, virtualization) {
        // As with Packer, a paravirtual image has no partitions, whatever mount_partition says.
        (_, Virtualization::Paravirtual) => whole(seen, "a paravirtual image's root is the whole disk"),
        (Some(MountPartition::WholeDisk), _) => whole(seen, "mount_partition is 0"),
        (Some(MountPartition::Number(number)), _) => {
            let found = seen.partitions().find(|(partition, _)| partition.number == number);
            let (_, content) = found.ok_or_else(|| {
                JobError::wrong(format!(
                    "there is no partition {number}, which mount_partition asks for; {}",
                    seen.list()
                ))
            })?;
            usable(seen, Some(number), content, "mount_partition asks for it")
        }
        (None, Virtualization::Hvm) if seen.table.is_none() => whole(seen, "the disk has no partition table"),
        (None, Virtualization::Hvm) => among_partitions(seen),
    }
}

fn whole(seen: &Seen, because: &'static str) -> Result<Choice, JobError> {
    usable(seen, None, seen.whole.as_ref(), because)
}

fn usable(
    seen: &Seen,
    partition: Option<u32>,
    content: Option<&Filesystem>,
    because: &'static str,
) -> Result<Choice, JobError> {
    let place = partition.map_or("the disk".to_owned(), |number| format!("partition {number}"));
    match content {
        Some(fs) if container(fs) => Err(JobError::hinted(
            format!("{place} holds {}, which can't be mounted directly; {}", fs.kind, seen.list()),
            "roots in LVM, LUKS or RAID are not supported yet",
        )),
        Some(fs) if fs.kind == "swap" => Err(JobError::wrong(format!("{place} is swap space; {}", seen.list()))),
        Some(fs) => Ok(Choice { partition, filesystem: fs.clone(), because }),
        None => Err(JobError::hinted(
            format!("there is no file system on {place}; {}", seen.list()),
            "make one in pre_mount_commands, or name the right place with mount_partition",
        )),
    }
}

fn container(fs: &Filesystem) -> bool {
    matches!(fs.kind, "LVM2_member" | "crypto_LUKS" | "linux_raid_member")
}

fn among_partitions(seen: &Seen) -> Result<Choice, JobError> {
    let candidates: Vec<_> = seen
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
    for (rule, because) in rules {
        let mut matching = candidates.iter().filter(|(partition, fs)| rule(partition, fs));
        if let (Some((partition, fs)), None) = (matching.next(), matching.next()) {
            return Ok(Choice { partition: Some(partition.number), filesystem: (*fs).clone(), because });
        }
    }
    if candidates.is_empty() {
        let inside = seen.partitions().find(|(_, content)| content.is_some_and(container));
        return match inside {
            Some((partition, content)) => usable(seen, Some(partition.number), content, ""),
            None => Err(JobError::hinted(
                format!("no partition has a Linux file system; {}", seen.list()),
                "make one in pre_mount_commands, or name the right place with mount_partition",
            )),
        };
    }
    Err(JobError::hinted(
        format!("it is not clear which partition is the root; {}", seen.list()),
        "set mount_partition to its number",
    ))
}

#[cfg(test)]
#[path = "root_selection_tests.rs"]
mod tests;
