//! Telling systemd how the daemon is (sd_notify(3)).

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

/// The socket, if systemd listens.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says.
    pub fn from_environment() -> Self {
        let address = env::var("NOTIFY_SOCKET").ok();
        let watchdog = env::var("WATCHDOG_USEC").ok();
        let for_us = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        Self::to(address.as_deref(), watchdog.as_deref().filter(|_| for_us))
    }

    /// One to which nobody listens.
    pub fn silent() -> Self {
        Self { socket: None, watchdog: None }
    }

    fn to(address: Option<&str>, watchdog: Option<&str>) -> Self {
        let connect = |address: &str| -> io::Result<(UnixDatagram, SocketAddr)> {
            let address = match address.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(address)?,
            };
            let socket = UnixDatagram::unbound()?;
            // A systemd that is stuck must not hold us up.
            socket.set_nonblocking(true)?;
            Ok((socket, address))
        };
        let micros = watchdog.and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
        Self { socket: address.and_then(|address| connect(address).ok()), watchdog: micros.map(Duration::from_micros) }
    }

    /// How often [`Self::alive`] must be said: twice as often as systemd waits for it.
    pub fn beat(&self) -> Option<Duration> {
        self.watchdog.map(|most| most / 2)
    }

    /// Ready for work.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The main loop goes round.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// On the way out.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// What `systemctl status` shows.
    pub fn status(&self, text: &str) {
        self.say(&format!("STATUS={text}"));
    }

    fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            // Whether systemd hears it changes nothing for us.
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.to_str(), Some("30000000"));
        assert_eq!(notify.beat(), Some(Duration::from_secs(15)));
        notify.ready();
        notify.status("2 builds");
        let mut buffer = [0; 64];
        let mut heard = || {
            let count = systemd.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        assert_eq!((heard(), heard()), ("READY=1".to_owned(), "STATUS=2 builds".to_owned()));
    }

    #[test]
    fn without_systemd_nothing_is_said() {
        let notify = Notify::to(None, None);
        notify.ready();
        assert_eq!(notify.beat(), None);
    }
}
