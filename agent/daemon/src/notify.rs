//! Telling systemd how the daemon is (sd_notify(3)).

use std::time::Duration;

pub use sd_notify::NotifyState;

/// Tells systemd, if it listens (NOTIFY_SOCKET). That it does not hear changes nothing for the daemon.
pub fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Returns how often [`NotifyState::Watchdog`] is sent: twice as often as systemd waits for it. None if it does not.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2).filter(|interval| !interval.is_zero())
}
