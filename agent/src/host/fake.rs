//! A fake host for tests: it records calls, a mount table and running programs. Files are real, in a directory that
//! stands for the image.

use std::{
    cell::{Cell, RefCell},
    fs::{self, File},
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use bakehouse_disk::{Table, mountinfo::MountEntry};
use bakehouse_protocol::{Answer, Stream, Timestamp};
use nix::mount::MsFlags;

use super::api::{Command, Disk, Host, Mount, Node, ProcessEnd, RunningProcesses};

/// Decides by its name whether a call fails.
type FailsAt = Box<dyn Fn(&str) -> bool>;

pub(crate) struct Fake {
    disk: PathBuf,
    fails_at: FailsAt,
    cancel_at: Option<&'static str>,
    cancelled: Cell<bool>,
    next_mount_id: Cell<u64>,
    table: RefCell<Vec<MountEntry>>,
    calls: RefCell<Vec<String>>,
    running: RefCell<Vec<String>>,
    left_in_use: Vec<String>,
    commands: RefCell<Vec<Command>>,
    programs: Option<Program>,
    /// In reverse order.
    answers: RefCell<Vec<Answer>>,
}

/// What a program does and how it ends; `None`: it succeeds.
type Program = Box<dyn Fn(&Command) -> Option<io::Result<ProcessEnd>>>;

impl Fake {
    /// Creates a host with this file as its disk.
    pub(crate) fn new(disk: &Path, fails_at: impl Fn(&str) -> bool + 'static) -> Self {
        Self {
            disk: disk.to_owned(),
            fails_at: Box::new(fails_at),
            cancel_at: None,
            cancelled: Cell::new(false),
            next_mount_id: Cell::new(100),
            table: RefCell::default(),
            calls: RefCell::default(),
            running: RefCell::default(),
            left_in_use: Vec::new(),
            commands: RefCell::default(),
            programs: None,
            answers: RefCell::default(),
        }
    }

    /// Runs this instead of programs.
    pub(crate) fn with_programs(self, programs: impl Fn(&Command) -> Option<io::Result<ProcessEnd>> + 'static) -> Self {
        Self { programs: Some(Box::new(programs)), ..self }
    }

    /// A person gives these answers.
    pub(crate) fn with_answers(self, answers: &[Answer]) -> Self {
        Self { answers: RefCell::new(answers.iter().rev().copied().collect()), ..self }
    }

    /// Returns the programs that were run, in order.
    pub(crate) fn commands(&self) -> Vec<Command> {
        self.commands.borrow().clone()
    }

    /// Finds this in use each time that swap areas and loop devices are released.
    pub(crate) fn with_left_in_use(self, what: &str) -> Self {
        Self { left_in_use: vec![what.to_owned()], ..self }
    }

    /// Cancels the job at this call.
    pub(crate) fn cancelling_at(self, call: &'static str) -> Self {
        Self { cancel_at: Some(call), ..self }
    }

    /// Returns the names of all calls, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    /// Returns what is still mounted.
    pub(crate) fn mounted(&self) -> Vec<PathBuf> {
        self.table.borrow().iter().map(|mount| mount.target.clone()).collect()
    }

    /// Returns how many programs still run.
    pub(crate) fn running(&self) -> usize {
        self.running.borrow().len()
    }

    fn call(&self, name: &str) -> io::Result<()> {
        self.calls.borrow_mut().push(name.to_owned());
        if self.cancel_at == Some(name) {
            self.cancelled.set(true);
        }
        if (self.fails_at)(name) { Err(io::Error::other(format!("{name} fails as told"))) } else { Ok(()) }
    }
}

impl Host for Fake {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn wait(&self, _: Duration, _: &[PathBuf]) -> io::Result<()> {
        self.call("wait")
    }

    fn discard_answers(&self) -> io::Result<()> {
        Ok(())
    }

    fn await_answer(&self, _: Option<Duration>) -> io::Result<Option<Answer>> {
        self.call("await_answer")?;
        Ok(self.answers.borrow_mut().pop())
    }

    fn open_disk(&self, path: &Path) -> io::Result<Disk> {
        self.call("open_disk")?;
        assert_eq!(path, self.disk);
        let handle = File::open(path)?;
        Ok(Disk { path: path.to_owned(), size: handle.metadata()?.len(), read_only: false, handle: handle.into() })
    }

    fn make_own_dev(&self, _: &Disk, _: &[(String, u32)]) -> io::Result<()> {
        self.call("make_own_dev")
    }

    fn fix_partition_nodes(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn share_disk_lock(&self, _: &Disk, shared: bool) -> io::Result<()> {
        self.call(if shared { "share_disk_lock" } else { "unshare_disk_lock" })
    }

    fn update_partitions(&self, _: &Disk, _: &Table) -> io::Result<()> {
        self.call("update_partitions")
    }

    fn prove_free(&self, _: &Disk) -> io::Result<()> {
        self.call("prove_free")?;
        let mounted = self.mounted();
        if mounted.is_empty() { Ok(()) } else { Err(io::Error::other(format!("mounted: {mounted:?}"))) }
    }

    fn mounts(&self) -> io::Result<Vec<MountEntry>> {
        Ok(self.table.borrow().clone())
    }

    fn mount(&self, mount: &Mount) -> io::Result<()> {
        if mount.flags.contains(MsFlags::MS_REMOUNT) {
            return self.call("remount");
        }
        // The path may be `/proc/self/fd/<n>`, which the kernel would resolve.
        let target = fs::canonicalize(&mount.target)?;
        let mut table = self.table.borrow_mut();
        let (name, parent) = match table.first() {
            None => ("mount root".to_owned(), 1),
            Some(root) => {
                let path = target.strip_prefix(&root.target).map_err(io::Error::other)?;
                let under = table.iter().filter(|other| target.starts_with(&other.target)).map(|other| other.id);
                (format!("mount /{}", path.display()), under.max().unwrap_or(root.id))
            }
        };
        self.call(&name)?;
        self.next_mount_id.set(self.next_mount_id.get() + 1);
        table.push(MountEntry {
            id: self.next_mount_id.get(),
            parent,
            device: format!("0:{}", self.next_mount_id.get()),
            target,
            kind: mount.kind.clone(),
            source: mount.source.clone(),
        });
        Ok(())
    }

    fn change_root(&self, _: &Path) -> io::Result<()> {
        self.call("change_root")
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        assert_eq!(self.running(), 0, "unmounting {} while something runs", target.display());
        let mut table = self.table.borrow_mut();
        let top = table.iter().rposition(|mount| mount.target == target);
        let top = top.ok_or_else(|| io::Error::from_raw_os_error(nix::libc::EINVAL))?;
        let id = table[top].id;
        assert!(table.iter().all(|mount| mount.parent != id), "{} has mounts on it", target.display());
        let name = match table.first() {
            Some(root) if root.id == id => "unmount root".to_owned(),
            Some(root) => format!("unmount /{}", target.strip_prefix(&root.target).unwrap().display()),
            None => unreachable!(),
        };
        self.call(&name)?;
        table.remove(top);
        Ok(())
    }

    fn holders(&self, _: &MountEntry) -> Vec<String> {
        Vec::new()
    }

    fn release_swap_and_loops(&self, _: &MountEntry, _: &Path) -> io::Result<Vec<String>> {
        self.call("release_swap_and_loops")?;
        Ok(self.left_in_use.clone())
    }

    fn create_namespaces(&self, _: &str) -> io::Result<()> {
        self.call("create_namespaces")
    }

    fn create_device_node(&self, _: BorrowedFd<'_>, name: &str, _: Node) -> io::Result<()> {
        self.call(&format!("node {name}"))
    }

    fn run(&self, command: &Command, output: &mut dyn FnMut(Stream, &str)) -> io::Result<ProcessEnd> {
        self.call("run")?;
        self.commands.borrow_mut().push(command.clone());
        if let Some(end) = self.programs.as_ref().and_then(|program| program(command)) {
            self.running.borrow_mut().push(command.argv.join(" "));
            return end;
        }
        if let Some(root) = &command.root {
            let script = root.join(command.argv[0].trim_start_matches('/'));
            output(Stream::Stdout, &fs::read_to_string(script).unwrap_or_default());
        }
        self.running.borrow_mut().push(command.argv.join(" "));
        Ok(if self.cancelled.get() { ProcessEnd::Cancelled } else { ProcessEnd::Exited(0) })
    }

    fn running(&self) -> io::Result<RunningProcesses> {
        self.call("running")?;
        let count = u32::try_from(self.running.borrow().len()).unwrap();
        Ok(RunningProcesses((0..count).map(|pid| (pid, 0)).collect()))
    }

    fn kill_newer(&self, than: &RunningProcesses) -> io::Result<()> {
        self.call("kill_newer")?;
        self.running.borrow_mut().truncate(than.0.len());
        Ok(())
    }

    fn kill_all(&self, _: Option<Duration>) -> io::Result<Vec<String>> {
        self.call("kill_all")?;
        Ok(std::mem::take(&mut *self.running.borrow_mut()))
    }
}
