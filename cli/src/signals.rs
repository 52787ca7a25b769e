//! Handles Ctrl-C: the first signal cancels the build, later ones print what is still being undone. A build is never
//! abandoned.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use bakehouse_controller::drive::Observer;
use bakehouse_machine::{Build, Event, Phase};
use bakehouse_protocol::{DeviceName, Report};
use bakehouse_runner::CancelHandle;
use console::style;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

use crate::{printer, report::CliError, screen::Screen};

/// The latest saved record of the build, shared with the thread that handles signals.
#[derive(Clone, Debug, Default)]
pub(crate) struct LatestBuild(Arc<Mutex<Option<Build>>>);

impl LatestBuild {
    fn set(&self, build: Build) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(build);
    }

    fn get(&self) -> Option<Build> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An observer that keeps the latest record and forwards everything.
pub(crate) struct BuildTracker<'a> {
    latest: LatestBuild,
    /// The device name that the volume was attached as; the record forgets it when the volume is gone.
    device: Option<DeviceName>,
    inner: &'a mut (dyn Observer + Send),
}

impl<'a> BuildTracker<'a> {
    pub(crate) fn new(latest: LatestBuild, inner: &'a mut (dyn Observer + Send)) -> Self {
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
    /// Starts to listen: SIGINT, SIGTERM and SIGHUP cancel the running build.
    pub(crate) fn listen(cancel_handle: CancelHandle, screen: Screen, latest: LatestBuild) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::failed(format!("can't listen for signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
        let handle = signals.handle();
        let requested = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&requested);
        let handle_signals = move || {
            for _ in signals.forever() {
                let first = !flag.swap(true, Ordering::SeqCst);
                if first {
                    cancel_handle.cancel();
                }
                for line in lines_for_signal(first, latest.get().as_ref()) {
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

/// Returns the lines to print at a signal.
fn lines_for_signal(first: bool, build: Option<&Build>) -> Vec<String> {
    let Some(build) = build.filter(|build| !build.phase.has_ended()) else {
        return vec!["nothing is running; ending".to_owned()];
    };
    let left = printer::left(build).join(", ");
    match (first, left.is_empty()) {
        (true, true) => vec![format!("ending build {}; nothing has been made yet", build.id)],
        (true, false) => vec![format!("build {} is being undone; Ctrl-C again says what is left to undo", build.id)],
        (false, true) => vec![format!("build {}: a last look whether anything is left", build.id)],
        (false, false) => {
            let began = if matches!(build.phase, Phase::Undoing(_)) { "" } else { " (not begun yet)" };
            vec![format!("build {}: still to be undone{began}: {left}", build.id)]
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
            lines_for_signal(true, Some(&build)),
            ["ending build b-00000001-00000002; nothing has been made yet"]
        );
        with_volume(&mut build, VolumeStage::Attached);
        assert_eq!(
            lines_for_signal(true, Some(&build)),
            ["build b-00000001-00000002 is being undone; Ctrl-C again says what is left to undo"]
        );
        enter(&mut build, Phase::Undoing(UndoReason::Cancelled), 5);
        assert_eq!(
            lines_for_signal(false, Some(&build)),
            ["build b-00000001-00000002: still to be undone: volume vol-00000001"]
        );
        enter(&mut build, Phase::Cancelled, 6);
        assert_eq!(lines_for_signal(false, Some(&build)), ["nothing is running; ending"]);
    }
}
