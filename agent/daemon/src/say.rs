//! What the daemon says to the host's journal: lines on standard error, with the level in front as journald reads it
//! (sd-daemon(3)).

use std::{env, fmt::Display, io::Write as _};

/// What goes on.
pub fn info(text: impl Display) {
    line(6, text);
}

/// What a person should look at.
pub fn warning(text: impl Display) {
    line(4, text);
}

/// What went wrong.
pub fn error(text: impl Display) {
    line(3, text);
}

fn line(level: u8, text: impl Display) {
    let text = text.to_string().replace('\n', " ");
    let prefix = if env::var_os("JOURNAL_STREAM").is_some() { format!("<{level}>") } else { String::new() };
    // That nobody reads it is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "{prefix}{text}");
}
