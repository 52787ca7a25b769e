//! The phases *enter* and *leave*: sets up the chroot, and removes all of it.

use bakehouse_protocol::{AgentPhase, chain};

use crate::{
    chroot_mounts::ChrootMounts,
    context::Context,
    error::{Aborted, ErrorContext, JobError},
    host_file::HostFile,
    image::Image,
    mount::Mounted,
    render::TemplateData,
};

/// The host name inside: the same for every build, so that no image contains the name of the host that built it, and
/// one that every image can resolve.
const HOST_NAME: &str = "localhost";

/// The chroot is set up: programs can run in the image.
pub(crate) struct Entered<'a> {
    pub(crate) chroot_mounts: ChrootMounts<'a>,
    pub(crate) mounted: Mounted<'a>,
    /// The files of the host that are at the same path in the image.
    pub(crate) host_files: Vec<HostFile>,
    /// How many of them, the first ones, are in the image in place of the image's own, for commands of the host.
    pub(crate) files_put: usize,
    pub(crate) holder: Holder,
}

/// Who has the image: see `host_view.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The agent: programs can run in it.
    Agent,
    /// It is being given to commands of the host or taken back, or an error ended that halfway. It is open.
    Changing,
    /// Commands of the host. It is not open.
    Host,
}

/// Every step has run successfully.
pub(crate) struct Provisioned<'a>(pub(crate) Entered<'a>);

impl<'a> Mounted<'a> {
    /// Runs the phase *enter*.
    pub(crate) fn enter(self) -> Result<Entered<'a>, Aborted> {
        let cx = self.cx();
        cx.report_phase(AgentPhase::Enter);
        let aborted = |error| Aborted::new(AgentPhase::Enter, None, error);
        let image = Image::open_root(&self.guard.path).context(|| format!("opening {}", self.guard.path.display()));
        let (image, root) = match (image, self.guard.root.clone()) {
            (Ok(image), Some(root)) => (image, root),
            (Err(error), _) => return Err(self.undo(aborted(error))),
            (Ok(_), None) => return Err(self.undo(aborted(JobError::new("the root is not mounted")))),
        };
        let disk = self.found.disk.path.clone();
        let chroot_mounts = ChrootMounts::new(cx, image, root, disk);
        let mut entered =
            Entered { chroot_mounts, mounted: self, host_files: Vec::new(), files_put: 0, holder: Holder::Agent };
        match entered.set_up() {
            Ok(()) => Ok(entered),
            Err(error) => Err(entered.undo(aborted(error))),
        }
    }
}

impl<'a> Entered<'a> {
    pub(crate) fn cx(&self) -> &'a Context<'a> {
        self.mounted.cx()
    }

    /// Returns the values that the texts of steps can refer to: those of the build, and where the image is.
    pub(crate) fn step_data(&self) -> TemplateData {
        TemplateData::from_run_data(&self.cx().job.data)
            .with("Device", self.mounted.names.device.as_str())
            .with("MountPath", self.mounted.guard.path.to_string_lossy())
    }

    fn set_up(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        cx.check_cancelled()?;
        cx.host.create_namespaces(HOST_NAME).context(|| "creating PID, UTS and IPC namespaces".to_owned())?;
        self.fix_partition_nodes(true)?;
        self.read_host_files()?;
        self.add_standard_mounts()?;
        self.add_extras()
    }

    /// Undoes this phase and those before: kills the build's processes, removes everything from the image, and unmounts
    /// it.
    pub(crate) fn undo(mut self, aborted: Aborted) -> Aborted {
        let removed = self.kill_all().and_then(|()| {
            // There will be no image: what commands of the host have left at its path need not be a root, and only
            // their mounts have to go.
            if let Err(error) = self.take_back() {
                tracing::warn!(error = chain(&error), "the image could not be taken back from commands of the host");
            }
            self.chroot_mounts.remove_all()
        });
        match removed {
            Ok(()) => {
                let Self { chroot_mounts, mounted, .. } = self;
                drop(chroot_mounts);
                mounted.undo(aborted)
            }
            Err(error) => aborted.with_cleanup_error(AgentPhase::Leave, error),
        }
    }

    /// Kills the build's processes. Those of a cancelled job have a grace period.
    fn kill_all(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        let grace = cx.host.is_cancelled().then(|| cx.job.grace.into());
        let killed = cx.host.kill_all(grace).context(|| "killing the build's processes".to_owned())?;
        self.mounted.killed.extend(killed);
        Ok(())
    }

    /// Kills the build's processes and removes everything that is mounted in the image.
    fn clean_up(&mut self) -> Result<(), JobError> {
        self.kill_all()?;
        self.take_back()?;
        self.chroot_mounts.remove_all()
    }
}

impl<'a> Provisioned<'a> {
    /// Runs the phase *leave*: kills what the steps left running and removes everything from the image.
    pub(crate) fn leave(self) -> Result<Mounted<'a>, Aborted> {
        let Self(mut entered) = self;
        entered.cx().report_phase(AgentPhase::Leave);
        let aborted = |error| Aborted::new(AgentPhase::Leave, None, error);
        entered.clean_up().map_err(aborted)?;
        if entered.mounted.guard.root.is_none() {
            let error = entered.not_mounted();
            return Err(entered.undo(aborted(error)));
        }
        match entered.chroot_mounts.remove_pending_files() {
            Ok(()) => {
                let Entered { chroot_mounts, mounted, .. } = entered;
                drop(chroot_mounts);
                Ok(mounted)
            }
            Err(error) => Err(entered.undo(aborted(error))),
        }
    }
}
