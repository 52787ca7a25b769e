//! Options of `mount -o`: flags of mount(2), and data for the file system.

use nix::mount::MsFlags;

/// Splits options into flags of mount(2) and data for the file system. Later options override earlier ones, as with
/// mount(8).
pub(crate) fn split(options: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data: Vec<&str> = Vec::new();
    for option in options.iter().flat_map(|option| option.split(',')).map(str::trim) {
        match option {
            // Options of mount(8) and fstab(5) that are not for the kernel.
            "" | "defaults" | "auto" | "noauto" | "nofail" | "_netdev" | "user" | "nouser" | "users" | "group" => {}
            "rw" => flags.remove(MsFlags::MS_RDONLY),
            "suid" => flags.remove(MsFlags::MS_NOSUID),
            "dev" => flags.remove(MsFlags::MS_NODEV),
            "exec" => flags.remove(MsFlags::MS_NOEXEC),
            "async" => flags.remove(MsFlags::MS_SYNCHRONOUS),
            "atime" => flags.remove(MsFlags::MS_NOATIME),
            "diratime" => flags.remove(MsFlags::MS_NODIRATIME),
            "norelatime" => flags.remove(MsFlags::MS_RELATIME),
            "nostrictatime" => flags.remove(MsFlags::MS_STRICTATIME),
            "nolazytime" => flags.remove(MsFlags::MS_LAZYTIME),
            other => match flag(other) {
                Some(flag) => flags.insert(flag),
                None => data.push(other),
            },
        }
    }
    (flags, data.join(","))
}

fn flag(option: &str) -> Option<MsFlags> {
    Some(match option {
        "ro" => MsFlags::MS_RDONLY,
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "sync" => MsFlags::MS_SYNCHRONOUS,
        "dirsync" => MsFlags::MS_DIRSYNC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        "strictatime" => MsFlags::MS_STRICTATIME,
        "lazytime" => MsFlags::MS_LAZYTIME,
        "silent" => MsFlags::MS_SILENT,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_separated_from_data() {
        let options = ["noatime,subvol=@", "ro", "rw", "defaults", "nouuid"].map(str::to_owned);
        assert_eq!(split(&options), (MsFlags::MS_NOATIME, "subvol=@,nouuid".to_owned()));
    }
}
