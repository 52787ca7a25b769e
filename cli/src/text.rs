//! Prints and formats text: output lines, cleaned program output, times and amounts.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use bakehouse_protocol::{Millis, Timestamp};
use jiff::tz::TimeZone;

/// Whether data could not be written, for example because the disk is full.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a line of data to standard output. A closed pipe is ignored: the build goes on.
pub(crate) fn out(line: &str) {
    out_exactly(&format!("{line}\n"));
}

/// Prints data to standard output as it is.
pub(crate) fn out_exactly(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        err(&format!("error: writing to standard output: {error}"));
    }
}

/// Whether some data could not be written.
pub(crate) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Prints a line to standard error.
pub(crate) fn err(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Returns a line of a program's output without escapes and control characters; of a line that overwrites itself, the
/// last state.
pub(crate) fn plain(line: &str) -> String {
    let line = console::strip_ansi_codes(line.trim_end_matches('\r'));
    let line = line.rsplit('\r').next().unwrap_or_default();
    line.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
}

/// Formats an age, in one unit.
pub(crate) fn age(length: Millis) -> String {
    let seconds = length.0 / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Formats a time as RFC 3339, in UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    stamp(at).map_or_else(|| at.0.to_string(), |at| format!("{at:.3}"))
}

/// Formats a time in the system's time zone.
pub(crate) fn local_time(at: Timestamp) -> String {
    stamp(at).map_or_else(
        || at.0.to_string(),
        |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Formats a time in the system's time zone as RFC 3339, to the second.
pub(crate) fn zoned(at: Timestamp) -> String {
    stamp(at).map_or_else(
        || at.0.to_string(),
        |at| {
            let zoned = at.to_zoned(TimeZone::system());
            // As Go writes it: UTC is `Z`.
            if zoned.offset().is_zero() {
                format!("{at:.0}")
            } else {
                zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
            }
        },
    )
}

/// Formats a duration as Packer does: the two largest units that are not zero.
pub(crate) fn packer_duration(length: Millis) -> String {
    let units = [("week", 604_800_000), ("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000)];
    let (mut rest, mut parts) = (length.0, Vec::new());
    for (unit, size) in units.into_iter().chain([("millisecond", 1)]) {
        let amount = rest / size;
        rest %= size;
        if amount > 0 {
            parts.push(count(usize::try_from(amount).unwrap_or(usize::MAX), unit));
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

fn stamp(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()
}

/// `1 builder`, `2 builders`.
pub(crate) fn count(amount: usize, thing: &str) -> String {
    if amount == 1 { format!("1 {thing}") } else { format!("{amount} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_cannot_draw_on_the_terminal() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\ttab\u{7}"), "red tab");
        assert_eq!(plain("10%\r20%\r100%\r"), "100%");
        assert_eq!(plain("\u{1b}]0;title\u{7}after"), "after");
    }

    #[test]
    fn moments_for_machines_are_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(Timestamp(1_700_000_000_120)), "2023-11-14T22:13:20.120Z");
    }

    #[test]
    fn durations_are_as_packer_writes_them() {
        assert_eq!(packer_duration(Millis(55_434)), "55 seconds 434 milliseconds");
        assert_eq!(packer_duration(Millis(3_600_001)), "1 hour 1 millisecond");
        assert_eq!(packer_duration(Millis(86_400_000 + 3_600_000 + 60_000)), "1 day 1 hour");
        assert_eq!(packer_duration(Millis(0)), "");
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(age(Millis(59_999)), "59 s");
        assert_eq!(age(Millis::minutes(125)), "2 h");
        assert_eq!(age(Millis::minutes(60 * 50)), "2 d");
    }
}
