//! How the options of a block are declared.

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
    pub(super) fn words(self) -> &'static str {
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

pub(super) const fn opt(name: &'static str, kind: Kind, does: &'static str) -> Opt {
    Opt { name, kind: Some(kind), does }
}

pub(super) const fn later(name: &'static str, does: &'static str) -> Opt {
    Opt { name, kind: None, does }
}
