//! How the options of a block are declared.

use crate::fields::Fields;

/// The type of an option's value. A deferred one is a template that may use the given fields.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    String,
    Deferred(Fields),
    Integer,
    Bool,
    StringList,
    DeferredList(Fields),
    IntegerList,
    StringMap,
    DeferredMap(Fields),
    /// A list of lists of strings.
    StringTable,
    Duration,
    Block(&'static Table),
    BlockList(&'static Table),
}

impl Kind {
    /// Its name in the reference.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Deferred(_) => "string, deferred",
            Self::Integer => "integer",
            Self::Bool => "bool",
            Self::StringList => "list of strings",
            Self::DeferredList(_) => "list of strings, deferred",
            Self::IntegerList => "list of integers",
            Self::StringMap => "object of strings",
            Self::DeferredMap(_) => "object of strings, deferred",
            Self::StringTable => "list of lists of strings",
            Self::Duration => "duration",
            Self::Block(_) => "object",
            Self::BlockList(_) => "list of objects",
        }
    }
}

/// One option.
pub(crate) struct Opt {
    pub(crate) name: &'static str,
    /// `None` for an option of Packer that Bakehouse does not support yet.
    pub(crate) kind: Option<Kind>,
    /// What it does, for the reference and for messages.
    pub(crate) description: &'static str,
}

/// The options of one type of block.
pub(crate) struct Table {
    /// The name of the block's type in messages.
    pub(crate) owner: &'static str,
    pub(crate) options: &'static [Opt],
}

pub(super) const fn opt(name: &'static str, kind: Kind, description: &'static str) -> Opt {
    Opt { name, kind: Some(kind), description }
}

pub(super) const fn unsupported(name: &'static str, description: &'static str) -> Opt {
    Opt { name, kind: None, description }
}
