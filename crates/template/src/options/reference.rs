//! The reference of the options, for `docs/template-reference.md`.

use super::{
    amazon_chroot::{AMAZON_CHROOT, FILTER, MAPPING, ROLE},
    provisioners::{FILE, SHELL},
};

/// Every option that can be used, as a Markdown table for each block: owner, then rows of name, kind, what it does.
pub fn reference() -> String {
    let mut out = String::new();
    for table in [&AMAZON_CHROOT, &FILTER, &MAPPING, &ROLE, &SHELL, &FILE] {
        out.push_str(&format!("### {}\n| Option | Kind | Does |\n|---|---|---|\n", table.owner));
        for option in table.options {
            if let Some(kind) = option.kind {
                out.push_str(&format!("| `{}` | {} | {} |\n", option.name, kind.words(), option.does));
            }
        }
        let not_yet: Vec<String> =
            table.options.iter().filter(|o| o.kind.is_none()).map(|o| format!("`{}`", o.name)).collect();
        if !not_yet.is_empty() {
            out.push_str(&format!("\nNot done yet, and refused by name: {}.\n", not_yet.join(", ")));
        }
        out.push('\n');
    }
    out
}
