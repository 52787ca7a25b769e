//! Growing the root file system, and its partition, to the size of the volume.

use std::path::Path;

use bakehouse_disk::{grow::GrowError, grow_partition, table};

use crate::{
    context::Context,
    error::{Doing, JobError},
    host::Disk,
    host_tool::run_tool,
};

/// Grows the partition; whether the file system is to be grown then.
pub(crate) fn partition(cx: &Context<'_>, disk: &Disk, number: Option<u32>) -> Result<bool, JobError> {
    let Some(number) = number else {
        return Ok(true);
    };
    let name = disk.path.display();
    let open = || format!("opening {name} to grow partition {number}");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&disk.path).doing(open)?;
    match grow_partition(&mut file, number) {
        Ok(None) => Ok(true),
        Ok(Some(growth)) => {
            let table =
                table::read(&mut file).map_err(|error| JobError::other(format!("reading {name} again"), error))?;
            let telling = || format!("telling the kernel of the larger partition {number} of {name}");
            table.map_or(Ok(()), |table| cx.host.update_partitions(disk, &table)).doing(telling)?;
            cx.note(format!("partition {number} grew from {} to {} MiB", growth.before >> 20, growth.after >> 20));
            Ok(true)
        }
        // The volume has the size that was asked for; that the layout can't use it is no reason to fail.
        Err(error @ GrowError::NotLast { .. }) => {
            cx.note(format!("the root is not grown: {error}"));
            Ok(false)
        }
        Err(error) => Err(JobError::other(format!("growing the root on {name}"), error)),
    }
}

/// Grows what is grown before it is mounted: ext2 to ext4. Done this way it needs no feature of the file system.
pub(crate) fn unmounted(cx: &Context<'_>, place: &Path, kind: &str) -> Result<(), JobError> {
    let place = place.display().to_string();
    if kind.starts_with("ext") {
        // resize2fs insists on a check first. 1 and 2: it repaired something.
        tool(cx, "e2fsck", &["-f", "-y", &place], &[0, 1, 2])?;
        tool(cx, "resize2fs", &[&place], &[0])?;
    }
    Ok(())
}

/// Grows what is grown while it is mounted: XFS and btrfs.
pub(crate) fn mounted(cx: &Context<'_>, path: &Path, kind: &str) -> Result<(), JobError> {
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

fn tool(cx: &Context<'_>, name: &str, arguments: &[&str], fine: &[i32]) -> Result<(), JobError> {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(|dir| format!("{dir}/{name}"));
    let Some(program) = found.iter().find(|path| Path::new(path).exists()) else {
        return Err(JobError::hinted(
            format!("{name}, which growing this root needs, is not installed on the host"),
            "install e2fsprogs, xfsprogs or btrfs-progs on the host, or leave root_volume_size at the source's size",
        ));
    };
    let mut argv = vec![program.as_str()];
    argv.extend(arguments);
    run_tool(cx, &argv, name, fine)
}
