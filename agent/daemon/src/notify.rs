//! Notifies systemd of the daemon's state (sd_notify(3)).

use std::{
    sync::{
        LazyLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

pub use sd_notify::NotifyState;

/// How many states may wait for systemd to read them; a further one is dropped.
const WAITING: usize = 16;

/// The thread that sends states. Sending waits while systemd does not read, and the daemon must not.
static SENDER: LazyLock<SyncSender<String>> = LazyLock::new(|| {
    let (sender, states) = sync_channel::<String>(WAITING);
    thread::spawn(move || {
        for state in states {
            if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&state)]) {
                tracing::debug!(%error, state, "can't notify systemd");
            }
        }
    });
    sender
});

/// Notifies systemd, if NOTIFY_SOCKET is set. Never waits; a failure is only logged.
pub fn notify(state: NotifyState<'_>) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        let _ = SENDER.try_send(state.to_string());
    }
}

/// Returns the interval of [`NotifyState::Watchdog`]: half of systemd's time-out. `None` without a watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2).filter(|interval| !interval.is_zero())
}
