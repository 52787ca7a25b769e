//! `bakehouse-agent check`: checks whether this host can run builds.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use bakehouse_protocol::{FaultKind, HostId};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::{
    aws::{self, Sqs},
    ports::Queue as _,
    runner,
    settings::Settings,
};

/// The argument that makes this program try to create a job's namespaces.
pub const TRY_NAMESPACES: &str = "agent-check-namespaces";

/// The result of one check.
enum CheckResult {
    Good(String),
    /// Some builds will fail.
    Poor(String),
    /// All builds will fail.
    Missing(String),
}
use CheckResult::{Good, Missing, Poor};

/// Runs all checks and prints a line for each.
pub async fn run(config: &Path) -> ExitCode {
    let settings = match Settings::read(config) {
        Ok(settings) => settings,
        Err(error) => {
            print("settings", &Missing(error.to_string()));
            return ExitCode::FAILURE;
        }
    };
    let mut lines = vec![("settings", Good(config.display().to_string()))];
    lines.push(("root", if nix::unistd::geteuid().is_root() { good("") } else { Missing("not root".into()) }));
    lines.push(("kernel", kernel()));
    lines.push(("namespaces and mounts", namespaces()));
    lines.push(("cgroup", cgroup(&settings)));
    lines.extend([("run directory", directory(&settings.run_dir)), ("work directory", directory(&settings.work_dir))]);
    lines.extend(file_systems());
    let identity = aws::identity().await;
    let host = identity.as_ref().ok().and_then(|identity| HostId::new(identity.instance.as_str()).ok());
    lines.push(match &identity {
        Ok(identity) => ("instance", Good(format!("{} in {}", identity.instance, identity.zone))),
        Err(fault) => ("instance", Missing(fault.to_string())),
    });
    if let Some(host) = host {
        lines.push(("queue", queue(&settings, &host).await));
    }
    lines.iter().for_each(|(name, found)| print(name, found));
    let missing = lines.iter().any(|(_, found)| matches!(found, Missing(_)));
    if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn print(name: &str, found: &CheckResult) {
    let (word, text) = match found {
        Good(text) => ("ok", text),
        Poor(text) => ("poor", text),
        Missing(text) => ("MISSING", text),
    };
    println!("{word:8} {name:22} {text}");
}

fn good(text: &str) -> CheckResult {
    Good(text.to_owned())
}

fn kernel() -> CheckResult {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let how = nix::fcntl::OpenHow::new().flags(nix::fcntl::OFlag::O_PATH);
    let root = match fs::File::open("/") {
        Ok(root) => root,
        Err(error) => return Missing(format!("{release}: opening /: {error}")),
    };
    match nix::fcntl::openat2(&root, ".", how.resolve(nix::fcntl::ResolveFlag::RESOLVE_IN_ROOT)) {
        Ok(_) => Good(release),
        Err(error) => Missing(format!("{release} cannot do openat2 ({error}): Linux 5.6 or newer is needed")),
    }
}

/// Tries to create a job's namespaces, in a process of its own, as that can't be undone.
fn namespaces() -> CheckResult {
    match Command::new("/proc/self/exe").arg(TRY_NAMESPACES).output() {
        Ok(output) if output.status.success() => good(""),
        Ok(output) => Missing(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Missing(format!("can't start this program again: {error}")),
    }
}

/// Runs in the process of [`namespaces`], whose first argument is [`TRY_NAMESPACES`].
pub fn try_namespaces() -> ExitCode {
    let flags =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    let none: Option<&str> = None;
    let tried = unshare(flags)
        .map_err(|error| ("making namespaces", error))
        .and_then(|()| {
            let private = MsFlags::MS_REC | MsFlags::MS_SLAVE;
            mount(none, "/", none, private, none).map_err(|error| ("making mounts private", error))
        })
        .and_then(|()| {
            let tmpfs = Some("tmpfs");
            mount(tmpfs, "/mnt", tmpfs, MsFlags::empty(), none).map_err(|error| ("mounting a tmpfs", error))
        });
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err((doing, error)) => {
            eprintln!("{doing}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn cgroup(settings: &Settings) -> CheckResult {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let v2 = mounts.lines().find(|line| line.split(" - ").nth(1).is_some_and(|fs| fs.starts_with("cgroup2 ")));
    let Some(root) = v2.and_then(|line| line.split(' ').nth(4)) else {
        return Poor("cgroup v2 is not mounted: processes that a killed agent leaves cannot be found".to_owned());
    };
    let parent = settings.cgroup.clone().unwrap_or_else(runner::cgroup);
    let group = Path::new(root).join(parent).join(format!("check-{}", std::process::id()));
    let existed = group.parent().is_some_and(Path::is_dir);
    let made = fs::create_dir_all(&group).and_then(|()| fs::remove_dir(&group));
    if let (false, Some(parent)) = (existed, group.parent()) {
        let _ = fs::remove_dir(parent);
    }
    match made {
        Ok(()) => good(""),
        Err(error) => Poor(format!("{}: {error}", group.display())),
    }
}

fn directory(path: &Path) -> CheckResult {
    let probe = path.join(format!(".check-{}", std::process::id()));
    let tried = fs::create_dir_all(path).and_then(|()| fs::write(&probe, "")).and_then(|()| fs::remove_file(&probe));
    match tried {
        Ok(()) => Good(path.display().to_string()),
        Err(error) => Missing(format!("{}: {error}", path.display())),
    }
}

/// Checks which file systems the kernel can mount, and the programs that grow them.
fn file_systems() -> Vec<(&'static str, CheckResult)> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim());
    let mountable = |kind: &str| {
        let built_in = || fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
        let loadable = || fs::read_to_string(modules.join("modules.dep")).unwrap_or_default();
        known.lines().any(|line| line.split('\t').nth(1) == Some(kind))
            || [built_in(), loadable()].iter().any(|list| list.contains(&format!("/{kind}.ko")))
    };
    [("ext4", ["e2fsck", "resize2fs"].as_slice()), ("xfs", &["xfs_growfs"]), ("btrfs", &["btrfs"])]
        .into_iter()
        .map(|(kind, tools)| {
            let missing: Vec<_> = tools.iter().filter(|tool| !is_program(tool)).copied().collect();
            let found = match (mountable(kind), missing.as_slice()) {
                (false, _) => Poor(format!("this kernel cannot mount {kind}")),
                (true, []) => good(""),
                (true, missing) => Poor(format!("{} is not installed: volumes are not grown", missing.join(", "))),
            };
            (kind, found)
        })
        .collect()
}

fn is_program(name: &str) -> bool {
    let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    dirs.into_iter().map(|dir| PathBuf::from(dir).join(name)).any(|path| is_executable(&path).unwrap_or(false))
}

fn is_executable(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = fs::metadata(path)?;
    Ok(meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

async fn queue(settings: &Settings, host: &HostId) -> CheckResult {
    let config = aws::config(&settings.stack.region).await;
    let name = settings.queue_name(host);
    match Sqs::new(&config, &settings.stack.inbox_url).find(&name).await {
        Ok(url) => Good(url),
        Err(fault) if fault.kind == FaultKind::NotFound => {
            Poor(format!("{name} does not exist: the controller creates it when the agent reports"))
        }
        Err(fault) => Missing(fault.to_string()),
    }
}
