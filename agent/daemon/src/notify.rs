//! Telling systemd how the daemon is (sd_notify(3)).

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
                tracing::debug!(%error, state, "systemd was not told");
            }
        }
    });
    sender
});

/// Tells systemd, if it listens (NOTIFY_SOCKET). That it does not hear changes nothing for the daemon.
pub fn notify(state: NotifyState<'_>) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        let _ = SENDER.try_send(state.to_string());
    }
}

/// Returns how often [`NotifyState::Watchdog`] is sent: twice as often as systemd waits for it. None if it does not.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2).filter(|interval| !interval.is_zero())
}
