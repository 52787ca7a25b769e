//! Handles Ctrl-C: the first signal cancels the builds, later ones print what is still being undone. A build is never
//! abandoned.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use bakehouse_controller::drive::Observer;
use bakehouse_machine::{Build, Event, Phase};
use bakehouse_protocol::{BuildId, DeviceName, Report};
use bakehouse_runner::CancelHandle;
use console::style;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

use crate::{printer, report::CliError, screen::Screen};

/// The latest saved records of the builds of this run, shared with the thread that handles signals.
#[derive(Clone, Debug, Default)]
pub(crate) struct LatestBuilds(Arc<Mutex<BTreeMap<BuildId, Build>>>);

impl LatestBuilds {
    fn set(&self, build: Build) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(build.id.clone(), build);
    }

    /// Returns those that have not ended.
    fn running(&self) -> Vec<Build> {
        let builds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        builds.values().filter(|build| !build.phase.has_ended()).cloned().collect()
    }
}

/// An observer that keeps the latest record and forwards everything.
pub(crate) struct BuildTracker<'a> {
    latest: LatestBuilds,
    /// The device name that the volume was attached as; the record forgets it when the volume is gone.
    device: Option<DeviceName>,
    inner: &'a mut (dyn Observer + Send),
}

impl<'a> BuildTracker<'a> {
    pub(crate) fn new(latest: LatestBuilds, inner: &'a mut (dyn Observer + Send)) -> Self {
        Self { latest, device: None, inner }
    }

    /// Returns the device name that the volume was attached as, empty if there was none.
    pub(crate) fn device(self) -> String {
        self.device.map_or_else(String::new, |device| device.to_string())
    }
}

impl Observer for BuildTracker<'_> {
    fn saved(&mut self, before: &Build, after: &Build) {
        if let Some(lease) = &after.resources.lease {
            self.device = Some(lease.device.clone());
        }
        self.latest.set(after.clone());
        self.inner.saved(before, after);
    }

    fn rejected(&mut self, event: &Event, why: &str) {
        self.inner.rejected(event, why);
    }

    fn report_received(&mut self, report: &Report) {
        self.inner.report_received(report);
    }
}

/// Listens for signals until it is dropped.
pub(crate) struct SignalListener {
    requested: Arc<AtomicBool>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalListener {
    /// Starts to listen: SIGINT, SIGTERM and SIGHUP cancel the running builds.
    pub(crate) fn listen(
        cancel_handles: Vec<CancelHandle>,
        screen: Screen,
        latest: LatestBuilds,
    ) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::failed(format!("can't listen for signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
        let handle = signals.handle();
        let requested = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&requested);
        let handle_signals = move || {
            for _ in signals.forever() {
                let first = !flag.swap(true, Ordering::SeqCst);
                if first {
                    cancel_handles.iter().for_each(CancelHandle::cancel);
                }
                for line in lines_for_signal(first, &latest.running()) {
                    screen.line(&format!("{} {line}", style("cancel:").yellow().bold().for_stderr()));
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(handle_signals).map_err(failed)?;
        Ok(Self { requested, handle, thread: Some(thread) })
    }

    /// Whether a signal has arrived.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }
}

impl Drop for SignalListener {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

/// Returns the lines to print at a signal, for the builds that have not ended.
fn lines_for_signal(first: bool, running: &[Build]) -> Vec<String> {
    if running.is_empty() {
        return vec!["nothing is running; ending".to_owned()];
    }
    running.iter().map(|build| line_for_signal(first, build)).collect()
}

fn line_for_signal(first: bool, build: &Build) -> String {
    let left = printer::left(build).join(", ");
    match (first, left.is_empty()) {
        (true, true) => format!("ending build {}; nothing has been made yet", build.id),
        (true, false) => format!("build {} is being undone; Ctrl-C again says what is left to undo", build.id),
        (false, true) => format!("build {}: a last look whether anything is left", build.id),
        (false, false) => {
            let began = if matches!(build.phase, Phase::Undoing(_)) { "" } else { " (not begun yet)" };
            format!("build {}: still to be undone{began}: {left}", build.id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::tests::{a_build, enter, with_volume};
    use bakehouse_machine::{UndoReason, VolumeStage};

    #[test]
    fn the_second_signal_names_what_is_left() {
        let mut build = a_build();
        assert_eq!(
            lines_for_signal(true, std::slice::from_ref(&build)),
            ["ending build b-00000001-00000002; nothing has been made yet"]
        );
        with_volume(&mut build, VolumeStage::Attached);
        assert_eq!(
            lines_for_signal(true, std::slice::from_ref(&build)),
            ["build b-00000001-00000002 is being undone; Ctrl-C again says what is left to undo"]
        );
        enter(&mut build, Phase::Undoing(UndoReason::Cancelled), 5);
        assert_eq!(
            lines_for_signal(false, std::slice::from_ref(&build)),
            ["build b-00000001-00000002: still to be undone: volume vol-00000001"]
        );
        let latest = LatestBuilds::default();
        latest.set(build.clone());
        assert_eq!(lines_for_signal(true, &latest.running()).len(), 1);
        enter(&mut build, Phase::Cancelled, 6);
        latest.set(build);
        assert_eq!(lines_for_signal(false, &latest.running()), ["nothing is running; ending"]);
    }
}
