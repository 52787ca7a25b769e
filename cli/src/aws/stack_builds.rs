//! The builds of a stack.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use bakehouse_aws::logs::Reader;
use bakehouse_controller::{
    clock::WallClock,
    ports::{Clock as _, Store as _},
    stack::Registry as _,
};
use bakehouse_machine::Build;
use bakehouse_protocol::{BuildId, Millis, Report};

use super::{Session, error};
use crate::{
    build_source::{BuildSource, Found, HostLine, Position},
    report::CliError,
};

/// The limit of listed builds: a stack's table keeps those of months.
const MAX_LISTED: usize = 100;
/// The interval at which a followed build is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The builds of a stack.
pub(crate) struct StackBuilds {
    pub(crate) session: Session,
    /// How far each log has been read.
    readers: RefCell<BTreeMap<BuildId, Reader>>,
}

impl StackBuilds {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, readers: RefCell::default() }
    }
}

impl BuildSource for StackBuilds {
    fn name(&self) -> String {
        format!("the stack {}", self.session.config.name)
    }

    fn ids(&self) -> Result<Vec<BuildId>, CliError> {
        let mut listed = self.session.wait(self.session.table.builds(MAX_LISTED))?;
        listed.sort_by(|a, b| (a.accepted_at, &a.id).cmp(&(b.accepted_at, &b.id)));
        Ok(listed.into_iter().map(|listed| listed.id).collect())
    }

    fn builds(&self) -> Result<Found, CliError> {
        Ok(Found::new(self.session.wait(self.session.table.load_all(&self.ids()?))?))
    }

    fn load(&self, id: &BuildId) -> Result<Build, CliError> {
        Ok(self.session.wait(self.session.table.load(id))?.0)
    }

    fn is_left(&self, _: &Build) -> bool {
        // The stack's function drives all builds.
        false
    }

    fn left(&self) -> Vec<BuildId> {
        vec![]
    }

    fn log(&self, id: &BuildId) -> Option<String> {
        Some(format!("{} {id} (CloudWatch Logs)", self.session.config.builds_log_group))
    }

    fn reports(&self, id: &BuildId, _: &mut Position) -> Result<Vec<Report>, CliError> {
        let mut readers = self.readers.borrow_mut();
        let reader = readers.entry(id.clone()).or_insert_with(|| self.session.logs.read(id.as_str()));
        let mut reports = Vec::new();
        while let Some(line) = self.session.wait(reader.next()).map_err(error)? {
            // Lines of the controller and unknown reports of a later version are skipped.
            reports.extend(serde_json::from_str::<Report>(&line.text));
        }
        Ok(reports)
    }

    fn hosts(&self) -> Result<Vec<HostLine>, CliError> {
        let now = WallClock.now();
        let silence = Millis::seconds(self.session.config.host_silence_seconds);
        let hosts = self.session.wait(self.session.table.hosts())?;
        let line = |host: bakehouse_controller::stack::HostRecord| {
            let ready = host.is_ready(now, silence);
            let silent = host.seen + silence <= now;
            let report = &host.report;
            HostLine {
                host: report.host.to_string(),
                state: match host.power.name() {
                    Some(word) => word,
                    None if ready => "ready",
                    None if silent => "silent",
                    None => "draining",
                },
                zone: report.zone.to_string(),
                architecture: report.architecture.as_str(),
                slots: report.slots,
                builds: host.leases.held(now).map(|(build, _)| build.to_string()).collect(),
                kernel: report.kernel.clone(),
                agent: report.agent.clone(),
                seen: host.seen,
            }
        };
        Ok(hosts.into_iter().map(line).collect())
    }

    fn poll_interval(&self) -> Duration {
        POLL_INTERVAL
    }
}
