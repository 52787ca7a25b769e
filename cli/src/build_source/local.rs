//! The records of this machine: builds in the embedded cloud, and builds in AWS that ran here.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_machine::Build;
use bakehouse_protocol::{BuildId, Report, Timestamp};
use bakehouse_runner::Records;

use super::{BuildSource, Found, HostLine, Position};
use crate::report::CliError;

/// The interval at which a followed file is read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The subdirectory of the state directory with the records of builds in AWS that ran on this instance.
pub(crate) const INSTANCE_STATE_DIR: &str = "here";

/// The records of this machine.
pub(crate) struct LocalBuilds {
    state: PathBuf,
    /// The embedded cloud's first.
    all: Vec<Records>,
}

impl LocalBuilds {
    /// Opens the records in a state directory.
    pub(crate) fn open(state: &Path) -> Result<Self, CliError> {
        let mut all = vec![Records::open(state)?];
        let instance_state = state.join(INSTANCE_STATE_DIR);
        if instance_state.is_dir() {
            all.push(Records::open(&instance_state)?);
        }
        Ok(Self { state: state.to_owned(), all })
    }

    /// Returns the records that contain a build.
    fn of(&self, id: &BuildId) -> &Records {
        let has = |records: &&Records| records.path(id).is_dir();
        self.all.iter().find(has).unwrap_or(&self.all[0])
    }
}

/// Returns when a build was accepted. If its record can't be read, the time is that in its id, to the second.
fn accepted(id: &BuildId, build: Option<&Build>) -> Timestamp {
    let second = u64::from_str_radix(id.as_str().get(2..10).unwrap_or_default(), 16).unwrap_or_default();
    build.map_or(Timestamp(second * 1000), |build| build.accepted_at)
}

impl BuildSource for LocalBuilds {
    fn name(&self) -> String {
        self.state.display().to_string()
    }

    fn ids(&self) -> Result<Vec<BuildId>, CliError> {
        let mut ids = Vec::new();
        for records in &self.all {
            ids.extend(records.all()?.into_iter().map(|(id, build)| (accepted(&id, build.as_ref().ok()), id)));
        }
        ids.sort();
        Ok(ids.into_iter().map(|(_, id)| id).collect())
    }

    fn builds(&self) -> Result<Found, CliError> {
        let mut read = Vec::new();
        for records in &self.all {
            read.extend(records.all()?.into_iter().map(|(_, build)| build));
        }
        Ok(Found::new(read))
    }

    fn load(&self, id: &BuildId) -> Result<Build, CliError> {
        Ok(self.of(id).load(id)?.0)
    }

    fn is_left(&self, build: &Build) -> bool {
        !build.phase.has_ended() && matches!(self.of(&build.id).is_owned(&build.id), Ok(false))
    }

    fn left(&self) -> Vec<BuildId> {
        let unfinished = self.all.iter().flat_map(|records| records.unfinished().unwrap_or_default());
        unfinished.map(|build| build.id).collect()
    }

    fn log(&self, id: &BuildId) -> Option<String> {
        Some(self.of(id).log(id)).filter(|path| path.exists()).map(|path| path.display().to_string())
    }

    fn reports(&self, id: &BuildId, from: &mut Position) -> Result<Vec<Report>, CliError> {
        let path = self.of(id).log(id);
        let failed = |error: std::io::Error| CliError::failed(format!("can't read {}: {error}", path.display()));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        file.seek(SeekFrom::Start(from.offset)).map_err(failed)?;
        let (mut reader, mut line, mut reports) = (BufReader::new(file), Vec::new(), Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
            // An incomplete line is still being written: it is read again.
            if read == 0 || line.last() != Some(&b'\n') {
                return Ok(reports);
            }
            from.offset += read as u64;
            // Unknown reports of a later version are skipped.
            reports.extend(serde_json::from_slice::<Report>(&line));
        }
    }

    fn hosts(&self) -> Result<Vec<HostLine>, CliError> {
        let running =
            self.builds()?.builds.into_iter().filter(|build| !build.phase.has_ended() && !self.is_left(build));
        let builds =
            running.filter(|build| build.resources.lease.is_some()).map(|build| build.id.to_string()).collect();
        let name = nix::sys::utsname::uname()
            .map_err(|errno| CliError::failed(format!("can't read the kernel's name: {errno}")))?;
        Ok(vec![HostLine {
            host: "local".to_owned(),
            state: "ready",
            zone: String::new(),
            architecture: if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" },
            slots: u32::try_from(crate::settings::SLOTS).unwrap_or(u32::MAX),
            builds,
            kernel: name.release().to_string_lossy().into_owned(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            seen: WallClock.now(),
        }])
    }

    fn poll_interval(&self) -> Duration {
        POLL_INTERVAL
    }
}
