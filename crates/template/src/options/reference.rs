//! The reference of the options, for `docs/template-reference.md`.

use super::{
    amazon_chroot::{AMAZON_CHROOT, FILTER, MAPPING, ROLE},
    provisioners::{FILE, SHELL},
};

/// Returns a Markdown table of the supported options of each block, with the names of the unsupported ones below it.
pub fn reference() -> String {
    let mut out = String::new();
    for table in [&AMAZON_CHROOT, &FILTER, &MAPPING, &ROLE, &SHELL, &FILE] {
        out.push_str(&format!("### {}\n| Option | Kind | Description |\n|---|---|---|\n", table.owner));
        for option in table.options {
            if let Some(kind) = option.kind {
                out.push_str(&format!("| `{}` | {} | {} |\n", option.name, kind.name(), option.description));
            }
        }
        let unsupported: Vec<String> =
            table.options.iter().filter(|o| o.kind.is_none()).map(|o| format!("`{}`", o.name)).collect();
        if !unsupported.is_empty() {
            out.push_str(&format!("\nNot supported yet, and rejected by name: {}.\n", unsupported.join(", ")));
        }
        out.push('\n');
    }
    out
}
