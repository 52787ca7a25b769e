//! Runs a process, hands over its output line by line, and ends it if the user cancels.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use bakehouse_protocol::Stream;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// How often it is looked whether the user has cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a process that is to end may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// How a process ended.
pub(super) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// Because the user cancelled.
    Cancelled,
}

/// Runs a command in a process group of its own, without standard input.
pub(super) fn run(
    mut command: Command,
    is_cancelled: &dyn Fn() -> bool,
    output: &mut dyn FnMut(Stream, &str),
) -> io::Result<End> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
    let group = i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)?;
    let (sender, lines) = mpsc::channel();
    // They end when the process and all that it started have closed their ends.
    if let Some(pipe) = child.stdout.take() {
        read_lines(pipe, Stream::Stdout, sender.clone());
    }
    if let Some(pipe) = child.stderr.take() {
        read_lines(pipe, Stream::Stderr, sender);
    }
    let (mut cancelled, mut exited): (Option<Instant>, _) = (None, None);
    loop {
        match lines.recv_timeout(POLL_INTERVAL) {
            Ok((stream, line)) => output(stream, &line),
            Err(RecvTimeoutError::Disconnected) => break,
            // What it left running in the background keeps the pipes open, and is not waited for.
            Err(RecvTimeoutError::Timeout) if exited.is_some() => break,
            Err(RecvTimeoutError::Timeout) => exited = child.try_wait()?,
        }
        match cancelled {
            None if is_cancelled() => {
                cancelled = Some(Instant::now());
                // It may just have ended.
                let _ = killpg(group, Signal::SIGTERM);
            }
            Some(since) if since.elapsed() >= GRACE => {
                let _ = killpg(group, Signal::SIGKILL);
            }
            _ => {}
        }
    }
    let status = match exited {
        Some(status) => status,
        None => child.wait()?,
    };
    Ok(if cancelled.is_some() { End::Cancelled } else { End::Exited(status) })
}

fn read_lines(pipe: impl Read + Send + 'static, stream: Stream, sender: Sender<(Stream, String)>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        // Nobody reads any more when the receiver is gone.
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
            if sender.send((stream, text)).is_err() {
                return;
            }
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn sh(script: &str, is_cancelled: &dyn Fn() -> bool) -> (End, Vec<String>) {
        let (mut command, mut lines) = (Command::new("/bin/sh"), Vec::new());
        command.args(["-c", script]);
        let end = run(command, is_cancelled, &mut |stream, line| lines.push(format!("{stream:?} {line}"))).unwrap();
        (end, lines)
    }

    #[test]
    fn output_is_handed_over_and_the_status_returned() {
        let (end, lines) = sh("echo a; echo b >&2; printf c; exit 3", &|| false);
        assert!(matches!(end, End::Exited(status) if status.code() == Some(3)));
        assert_eq!(
            lines.iter().filter(|line| line.starts_with("Stdout")).collect::<Vec<_>>(),
            ["Stdout a", "Stdout c"]
        );
        assert!(lines.contains(&"Stderr b".to_owned()));
    }

    #[test]
    fn what_stays_in_the_background_is_not_waited_for() {
        let (end, _) = sh("sleep 30 & exit 0", &|| false);
        assert!(matches!(end, End::Exited(status) if status.success()));
    }

    #[test]
    fn a_cancelled_process_may_print_while_it_cleans_up() {
        let script = "trap 'i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done; sleep 0.2; echo cleaned; exit 0' TERM; \
                      echo ready; while :; do sleep 0.05; done";
        let (mut command, is_ready, mut last) = (Command::new("/bin/sh"), Cell::new(false), String::new());
        command.args(["-c", script]);
        let output = &mut |_, line: &str| {
            is_ready.set(true);
            line.clone_into(&mut last);
        };
        let end = run(command, &|| is_ready.get(), output).unwrap();
        assert!(matches!(end, End::Cancelled));
        assert_eq!(last, "cleaned");
    }

    #[test]
    fn a_cancelled_process_and_its_children_end() {
        let (end, _) = sh("sleep 30; echo not reached", &|| true);
        assert!(matches!(end, End::Cancelled));
    }
}
