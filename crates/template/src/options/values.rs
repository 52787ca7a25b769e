//! What a block gives.

use std::collections::BTreeMap;

use bakehouse_protocol::{DeferredTemplate, Millis};

use crate::{source::Place, tree::At};

/// A value, read as its option's kind.
#[derive(Clone)]
pub(super) enum Value {
    Text(At<String>),
    Late(At<DeferredTemplate>),
    Integer(At<i64>),
    Bool(At<bool>),
    Texts(Vec<At<String>>),
    Lates(Vec<At<DeferredTemplate>>),
    Integers(Vec<At<i64>>),
    Pairs(Vec<(At<String>, At<String>)>),
    LatePairs(Vec<(At<DeferredTemplate>, At<DeferredTemplate>)>),
    Rows(Vec<At<Vec<At<String>>>>),
    Duration(Millis),
    Block(Values),
    Blocks(Vec<Values>),
}

/// The options that a block gives, checked as far as their kinds go.
#[derive(Clone)]
pub(crate) struct Values {
    /// Where to point if something is missing.
    pub(crate) anchor: Place,
    /// Every option that is given and not null, with the place of its value; a value that was wrong is `None`.
    pub(super) given: BTreeMap<&'static str, (Place, Option<Value>)>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $variant:ident -> $type:ty;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(&self, option: &str) -> Option<$type> {
            match self.given.get(option)?.1.clone()? {
                Value::$variant(value) => Some(value),
                _ => None,
            }
        }
    )*};
}

impl Values {
    getters! {
        late, Late -> At<DeferredTemplate>;
        integer, Integer -> At<i64>;
        bool_at, Bool -> At<bool>;
        texts, Texts -> Vec<At<String>>;
        lates, Lates -> Vec<At<DeferredTemplate>>;
        integers, Integers -> Vec<At<i64>>;
        pairs, Pairs -> Vec<(At<String>, At<String>)>;
        late_pairs, LatePairs -> Vec<(At<DeferredTemplate>, At<DeferredTemplate>)>;
        rows, Rows -> Vec<At<Vec<At<String>>>>;
        duration, Duration -> Millis;
        block, Block -> Values;
        blocks, Blocks -> Vec<Values>;
    }

    /// A text; "" counts as not given, as with Packer.
    pub(crate) fn text(&self, option: &str) -> Option<At<String>> {
        match self.given.get(option)?.1.clone()? {
            Value::Text(text) if !text.value.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A bool; not given is false.
    pub(crate) fn flag(&self, option: &str) -> bool {
        self.bool_at(option).is_some_and(|bool| bool.value)
    }

    /// The place of a value that says something: not null, not "", not 0, not empty. A wrong value counts, so that it
    /// is not called missing too.
    pub(crate) fn place(&self, option: &str) -> Option<&Place> {
        let (place, value) = self.given.get(option)?;
        let says = match value {
            None | Some(Value::Duration(_) | Value::Block(_)) => true,
            Some(Value::Text(text)) => !text.value.is_empty(),
            Some(Value::Late(late)) => !late.value.0.is_empty(),
            Some(Value::Integer(number)) => number.value != 0,
            Some(Value::Bool(bool)) => bool.value,
            Some(Value::Texts(list)) => !list.is_empty(),
            Some(Value::Lates(list)) => !list.is_empty(),
            Some(Value::Integers(list)) => !list.is_empty(),
            Some(Value::Pairs(list)) => !list.is_empty(),
            Some(Value::LatePairs(list)) => !list.is_empty(),
            Some(Value::Rows(list)) => !list.is_empty(),
            Some(Value::Blocks(list)) => !list.is_empty(),
        };
        says.then_some(place)
    }

    /// Whether the option was given and could not be read.
    pub(crate) fn is_wrong(&self, option: &str) -> bool {
        self.given.get(option).is_some_and(|(_, value)| value.is_none())
    }
}
