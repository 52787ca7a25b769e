//! The reference of the options, for `docs/template-reference.md`.

use std::fmt::Write as _;

use super::{
    amazon_chroot::{AMAZON_CHROOT, OWN, TABLES as BUILDER_TABLES},
    ansible::{ANSIBLE, ANSIBLE_LOCAL},
    data_sources::{AMI_DATA, NULL_DATA, PARAMETER_DATA, SECRET_DATA},
    post_processors::{CHECKSUM, MANIFEST, POST_SHELL_LOCAL},
    provisioners::{BREAKPOINT, FILE, SHELL, SHELL_LOCAL, SLEEP},
    table::{Opt, Table},
};

const STEPS: [&Table; 7] = [&SHELL, &FILE, &SHELL_LOCAL, &ANSIBLE, &ANSIBLE_LOCAL, &BREAKPOINT, &SLEEP];
const POST_PROCESSORS: [&Table; 3] = [&MANIFEST, &CHECKSUM, &POST_SHELL_LOCAL];

const DATA_SOURCES: [&Table; 4] = [&AMI_DATA, &PARAMETER_DATA, &SECRET_DATA, &NULL_DATA];

/// Returns a Markdown table of the options of each block. What all provisioners, and all post-processors, have in
/// common has a table of its own.
pub fn reference() -> String {
    let mut out = String::new();
    for table in BUILDER_TABLES {
        section(&mut out, table);
    }
    options(&mut out, "amazon-chroot: our own", OWN);
    options(&mut out, "every provisioner", SHELL.common);
    for table in STEPS {
        section(&mut out, table);
    }
    options(&mut out, "every post-processor", MANIFEST.common);
    for table in POST_PROCESSORS.into_iter().chain(DATA_SOURCES) {
        section(&mut out, table);
    }
    out
}

fn section(out: &mut String, table: &Table) {
    options(out, table.owner, table.own);
    let mut lines = Vec::new();
    for (old, new) in table.renamed {
        lines.push(format!("`{old}` is an old name of `{new}`, taken with a warning."));
    }
    for (name, why) in table.ignored {
        lines.push(format!("`{name}` changes nothing and is taken with a warning: {why}."));
    }
    for line in &lines {
        // Writing to a string does not fail.
        let _ = writeln!(out, "- {line}");
    }
    if !lines.is_empty() {
        out.push('\n');
    }
}

fn options(out: &mut String, owner: &str, options: &[Opt]) {
    let _ = writeln!(out, "### {owner}\n| Option | Kind | Description |\n|---|---|---|");
    for Opt { name, kind, description } in options {
        let _ = writeln!(out, "| `{name}` | {} | {description} |", kind.name());
    }
    out.push('\n');
}

/// Returns the names of the builder's options.
pub fn builder_options() -> impl Iterator<Item = &'static str> {
    AMAZON_CHROOT.own.iter().chain(OWN).map(|option| option.name)
}
