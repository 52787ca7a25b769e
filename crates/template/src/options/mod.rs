//! The options layer: each block's options declared once in a table, and blocks read by their table.

mod amazon_chroot;
mod provisioners;
mod read;
mod scalars;
mod values;

pub(crate) use amazon_chroot::{AMAZON_CHROOT, FILTER, MAPPING, ROLE};
pub(crate) use provisioners::{FILE, SHELL};
pub(crate) use read::read;
pub(crate) use values::Values;

use crate::known::Fields;

/// What an option holds. "Late" is text that may speak of the fields named.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Late(Fields),
    Integer,
    Bool,
    Texts,
    Lates(Fields),
    Integers,
    /// Names and texts, known early.
    Pairs,
    LatePairs(Fields),
    /// A list of lists of texts.
    Rows,
    Duration,
    Block(&'static Table),
    Blocks(&'static Table),
}

impl Kind {
    /// The kind in the reference.
    fn words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Late(_) => "text, late",
            Self::Integer => "whole number",
            Self::Bool => "bool",
            Self::Texts => "list of texts",
            Self::Lates(_) => "list of texts, late",
            Self::Integers => "list of whole numbers",
            Self::Pairs => "object of texts",
            Self::LatePairs(_) => "object of texts, late",
            Self::Rows => "list of lists of texts",
            Self::Duration => "length of time",
            Self::Block(_) => "object",
            Self::Blocks(_) => "list of objects",
        }
    }
}

/// One option.
pub(crate) struct Opt {
    pub(crate) name: &'static str,
    /// `None`: Packer knows it, Bakehouse does not do it yet.
    pub(crate) kind: Option<Kind>,
    /// What it does, for the reference and for messages.
    pub(crate) does: &'static str,
}

/// The options of one kind of block.
pub(crate) struct Table {
    /// Whose options they are, in a message.
    pub(crate) owner: &'static str,
    pub(crate) options: &'static [Opt],
}

const fn opt(name: &'static str, kind: Kind, does: &'static str) -> Opt {
    Opt { name, kind: Some(kind), does }
}

const fn later(name: &'static str, does: &'static str) -> Opt {
    Opt { name, kind: None, does }
}

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
