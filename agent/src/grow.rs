//! Grows the root file system, and its partition, to the size of the volume.

use std::path::Path;

use bakehouse_disk::{grow::GrowError, grow_partition, table};

use crate::{
    context::Context,
    error::{ErrorContext, JobError},
    host::Disk,
    host_tool::run_tool,
};

/// Grows the partition. Returns whether the file system is to be grown as well.
pub(crate) fn partition(cx: &Context<'_>, disk: &Disk, number: Option<u32>) -> Result<bool, JobError> {
    let Some(number) = number else {
        return Ok(true);
    };
    let name = disk.path.display();
    let opening = || format!("opening {name} to grow partition {number}");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&disk.path).context(opening)?;
    match grow_partition(&mut file, number) {
        Ok(None) => Ok(true),
        Ok(Some(growth)) => {
            let table =
                table::read(&mut file).map_err(|error| JobError::other(format!("reading {name} again"), error))?;
            let updating = || format!("updating the kernel's view of partition {number} of {name}");
            table.map_or(Ok(()), |table| cx.host.update_partitions(disk, &table)).context(updating)?;
            cx.note(format!("partition {number} grew from {} to {} MiB", growth.before >> 20, growth.after >> 20));
            Ok(true)
        }
        // The volume has the requested size. That the layout can't use all of it is no reason to fail.
        Err(error @ GrowError::NotLast { .. }) => {
            cx.note(format!("the root is not grown: {error}"));
            Ok(false)
        }
        Err(error) => Err(JobError::other(format!("growing the root on {name}"), error)),
    }
}

/// Grows ext2, ext3 and ext4, before they are mounted: unlike growing when mounted, this needs no feature of the file
/// system.
pub(crate) fn before_mount(cx: &Context<'_>, device: &Path, kind: &str) -> Result<(), JobError> {
    let device = device.display().to_string();
    if kind.starts_with("ext") {
        // resize2fs requires a check first. Exit codes 1 and 2: errors were corrected.
        tool(cx, "e2fsck", &["-f", "-y", &device], &[0, 1, 2])?;
        tool(cx, "resize2fs", &[&device], &[0])?;
    }
    Ok(())
}

/// Grows XFS and btrfs, which can be grown only while they are mounted.
pub(crate) fn after_mount(cx: &Context<'_>, path: &Path, kind: &str) -> Result<(), JobError> {
    let path = path.display().to_string();
    match kind {
        "xfs" => tool(cx, "xfs_growfs", &[&path], &[0]),
        "btrfs" => tool(cx, "btrfs", &["filesystem", "resize", "max", &path], &[0]),
        kind if kind.starts_with("ext") => Ok(()),
        kind => {
            cx.note(format!("the root is not grown: Bakehouse can't grow {kind}"));
            Ok(())
        }
    }
}

/// Runs a program that growing needs.
fn tool(cx: &Context<'_>, name: &str, arguments: &[&str], success_codes: &[i32]) -> Result<(), JobError> {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(|dir| format!("{dir}/{name}"));
    let Some(program) = found.iter().find(|path| Path::new(path).exists()) else {
        return Err(JobError::with_hint(
            format!("{name}, which growing this root needs, is not installed on the host"),
            "install e2fsprogs, xfsprogs or btrfs-progs on the host, or leave root_volume_size at the source's size",
        ));
    };
    let mut argv = vec![program.as_str()];
    argv.extend(arguments);
    run_tool(cx, Path::new("/"), &argv, name, success_codes)
}
