//! The lines of Packer's `-machine-readable`: `time,target,type,data…`, one on each line of standard output.

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_protocol::Timestamp;

use crate::text;

/// Returns a line. `target` is the build's name, or empty.
pub(crate) fn line(at: Timestamp, target: &str, kind: &str, data: &[&str]) -> String {
    let mut line = format!("{},{},{kind}", at.0 / 1000, escaped(target));
    for value in data {
        line.push(',');
        line.push_str(&escaped(value));
    }
    line
}

/// Prints a line.
pub(crate) fn print(target: &str, kind: &str, data: &[&str]) {
    text::out(&line(WallClock.now(), target, kind, data));
}

/// Prints a text that Packer shows to people.
pub(crate) fn say(message: &str) {
    print("", "ui", &["say", message]);
}

/// Prints an error that Packer shows to people.
pub(crate) fn error(message: &str) {
    print("", "ui", &["error", message]);
}

/// Returns a value without the characters that end it. Packer has no escape for its own escapes.
fn escaped(value: &str) -> String {
    value.replace(',', "%!(PACKER_COMMA)").replace('\r', "\\r").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_line_ends_are_escaped_as_packer_does() {
        let at = Timestamp(1_795_382_528_999);
        assert_eq!(
            line(at, "", "ui", &["say", "==> a: b, c\r\nd"]),
            r"1795382528,,ui,say,==> a: b%!(PACKER_COMMA) c\r\nd"
        );
        assert_eq!(
            line(at, "web", "artifact", &["0", "id", "eu-west-1:ami-2,us-east-1:ami-1"]),
            "1795382528,web,artifact,0,id,eu-west-1:ami-2%!(PACKER_COMMA)us-east-1:ami-1"
        );
        assert_eq!(line(at, "web", "artifact-count", &["1"]), "1795382528,web,artifact-count,1");
    }
}
