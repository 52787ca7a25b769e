//! The processes that own copies and attachments.

use std::{fs, path::Path};

use crate::model::Owner;

/// A running process of this number, if there is one.
fn identity(proc: &Path, pid: u32) -> Option<Owner> {
    let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
    // The name is in brackets and may contain anything, so the fields are those after the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // A zombie has no file open.
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    // Field 22 of proc(5), where the state is field 3.
    let start = fields.get(19)?.parse().ok()?;
    let boot = fs::read_to_string(proc.join("sys/kernel/random/boot_id")).unwrap_or_default();
    Some(Owner { pid, start, boot: boot.trim().to_owned() })
}

/// This process.
pub(super) fn current() -> Owner {
    let pid = std::process::id();
    identity(Path::new("/proc"), pid).unwrap_or(Owner { pid, start: 0, boot: String::new() })
}

/// Whether a process still runs.
pub(super) fn is_alive(owner: &Owner) -> bool {
    identity(Path::new("/proc"), owner.pid).is_some_and(|now| now == *owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_another_start_or_boot_is_not_alive() {
        let me = current();
        assert!(is_alive(&me));
        assert!(!is_alive(&Owner { start: me.start.wrapping_add(1), ..me.clone() }));
        assert!(!is_alive(&Owner { boot: "another".to_owned(), ..me }));
    }

    #[test]
    fn a_name_may_have_brackets_and_spaces() {
        let proc = tempfile::tempdir().unwrap();
        let dir = proc.path().join("7");
        fs::create_dir(&dir).unwrap();
        let rest = "S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        fs::write(dir.join("stat"), format!("7 (a ) (b) {rest}")).unwrap();
        assert_eq!(identity(proc.path(), 7).unwrap().start, 4711);
        fs::write(dir.join("stat"), format!("7 (a) {}", rest.replacen('S', "Z", 1))).unwrap();
        assert_eq!(identity(proc.path(), 7), None);
    }
}
