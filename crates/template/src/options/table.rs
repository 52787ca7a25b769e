//! How the options of a block are declared.

use crate::fields::Fields;

/// The type of an option's value. A deferred one is a template that may use the given fields.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    String,
    Deferred(Fields),
    Integer,
    Bool,
    /// A bool that may be left unset by "" as well.
    TriState,
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
            Self::Bool | Self::TriState => "bool",
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
    pub(crate) kind: Kind,
    /// What it does, for the reference.
    pub(crate) description: &'static str,
}

/// The options of one type of block.
pub(crate) struct Table {
    /// The name of the block's type in messages.
    pub(crate) owner: &'static str,
    /// Its own options.
    pub(super) own: &'static [Opt],
    /// Options that it shares with other types.
    pub(super) common: &'static [Opt],
    /// Old names of options, each with the name of today.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// Options of Packer that change nothing here, each with the reason.
    pub(super) ignored: &'static [(&'static str, &'static str)],
}

impl Table {
    pub(super) const fn new(owner: &'static str, own: &'static [Opt]) -> Self {
        Self { owner, own, common: &[], renamed: &[], ignored: &[] }
    }

    pub(super) const fn common(self, common: &'static [Opt]) -> Self {
        Self { common, ..self }
    }

    pub(super) const fn renamed(self, renamed: &'static [(&'static str, &'static str)]) -> Self {
        Self { renamed, ..self }
    }

    pub(super) const fn ignored(self, ignored: &'static [(&'static str, &'static str)]) -> Self {
        Self { ignored, ..self }
    }

    /// Returns all options.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'static Opt> + use<> {
        self.own.iter().chain(self.common)
    }
}

impl Table {
    /// Returns the exact name of an option that is written in any mixture of upper and lower case; `None` if there is
    /// no such option.
    pub(crate) fn exact_name(&self, name: &str) -> Option<&'static str> {
        let is_same = |other: &&str| other.eq_ignore_ascii_case(name);
        let all = self.options().map(|option| option.name);
        let old = [self.renamed, self.ignored].into_iter().flatten().map(|(name, _)| *name);
        all.chain(old).find(is_same)
    }

    /// Returns the kind of an option of exactly this name, or of the one that has replaced it.
    pub(crate) fn kind(&self, name: &str) -> Option<Kind> {
        let renamed = self.renamed.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
        self.options().find(|option| option.name == renamed).map(|option| option.kind)
    }
}

pub(super) const fn opt(name: &'static str, kind: Kind, description: &'static str) -> Opt {
    Opt { name, kind, description }
}
