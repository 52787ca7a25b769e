//! The values of a block's options.

use std::collections::BTreeMap;

use bakehouse_protocol::{DeferredTemplate, Millis};

use crate::{source::Location, tree::Located};

/// The value of an option, of its kind.
#[derive(Clone)]
pub(super) enum Value {
    String(Located<String>),
    Deferred(Located<DeferredTemplate>),
    Integer(Located<i64>),
    Bool(Located<bool>),
    TriState(Located<Option<bool>>),
    StringList(Vec<Located<String>>),
    DeferredList(Vec<Located<DeferredTemplate>>),
    IntegerList(Vec<Located<i64>>),
    StringMap(Vec<(Located<String>, Located<String>)>),
    DeferredMap(Vec<(Located<DeferredTemplate>, Located<DeferredTemplate>)>),
    StringTable(Vec<Located<Vec<Located<String>>>>),
    Duration(Millis),
    Block(Values),
    BlockList(Vec<Values>),
}

/// The options that a block sets. Their values have the type of their option, and are not checked further.
#[derive(Clone)]
pub(crate) struct Values {
    /// The location for messages about a missing option.
    pub(crate) anchor: Location,
    /// Every option that is set and not null, with the location of its value; `None` for an invalid value.
    pub(super) set: BTreeMap<&'static str, (Location, Option<Value>)>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $variant:ident -> $type:ty;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(&self, option: &str) -> Option<$type> {
            match self.set.get(option)?.1.clone()? {
                Value::$variant(value) => Some(value),
                _ => None,
            }
        }
    )*};
}

impl Values {
    getters! {
        deferred, Deferred -> Located<DeferredTemplate>;
        integer, Integer -> Located<i64>;
        bool, Bool -> Located<bool>;
        string_list, StringList -> Vec<Located<String>>;
        deferred_list, DeferredList -> Vec<Located<DeferredTemplate>>;
        integer_list, IntegerList -> Vec<Located<i64>>;
        string_map, StringMap -> Vec<(Located<String>, Located<String>)>;
        deferred_map, DeferredMap -> Vec<(Located<DeferredTemplate>, Located<DeferredTemplate>)>;
        string_table, StringTable -> Vec<Located<Vec<Located<String>>>>;
        duration, Duration -> Millis;
        block, Block -> Values;
        block_list, BlockList -> Vec<Values>;
    }

    /// Returns a string; "" counts as not set, as with Packer.
    pub(crate) fn string(&self, option: &str) -> Option<Located<String>> {
        match self.set.get(option)?.1.clone()? {
            Value::String(text) if !text.value.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns a bool that may be unset.
    pub(crate) fn tri_state(&self, option: &str) -> Option<bool> {
        match &self.set.get(option)?.1 {
            Some(Value::TriState(value)) => value.value,
            _ => None,
        }
    }

    /// Returns a bool; false if it is not set.
    pub(crate) fn flag(&self, option: &str) -> bool {
        self.bool(option).is_some_and(|bool| bool.value)
    }

    /// Returns the location of a value unless it is null, "", 0, false or empty. An invalid value has one, so that it
    /// is not reported as missing, too.
    pub(crate) fn location(&self, option: &str) -> Option<&Location> {
        let (location, value) = self.set.get(option)?;
        let is_set = match value {
            None | Some(Value::Duration(_) | Value::Block(_)) => true,
            Some(Value::String(text)) => !text.value.is_empty(),
            Some(Value::Deferred(template)) => !template.value.0.is_empty(),
            Some(Value::Integer(number)) => number.value != 0,
            Some(Value::Bool(bool)) => bool.value,
            Some(Value::TriState(bool)) => bool.value.is_some(),
            Some(Value::StringList(list)) => !list.is_empty(),
            Some(Value::DeferredList(list)) => !list.is_empty(),
            Some(Value::IntegerList(list)) => !list.is_empty(),
            Some(Value::StringMap(list)) => !list.is_empty(),
            Some(Value::DeferredMap(list)) => !list.is_empty(),
            Some(Value::StringTable(list)) => !list.is_empty(),
            Some(Value::BlockList(list)) => !list.is_empty(),
        };
        is_set.then_some(location)
    }

    /// Whether the option is set to an invalid value.
    pub(crate) fn is_invalid(&self, option: &str) -> bool {
        self.set.get(option).is_some_and(|(_, value)| value.is_none())
    }
}
