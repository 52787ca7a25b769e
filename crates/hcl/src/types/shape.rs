//! What a type is, and how it is written.

use std::{collections::BTreeMap, fmt};

use crate::value::Value;

/// A type: what `type` of a variable and the second argument of `convert` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Whatever the value is. Within a collection: the one type that fits all elements.
    Any,
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `string`
    String,
    /// `list(…)`
    List(Box<Type>),
    /// `set(…)`: a list that is sorted and has no element twice.
    Set(Box<Type>),
    /// `map(…)`
    Map(Box<Type>),
    /// `tuple([…])`
    Tuple(Vec<Type>),
    /// `object({…})`
    Object(BTreeMap<String, Attribute>),
}

/// An attribute of an object type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub of: Type,
    /// For `optional(…)`: what it is if absent or null.
    pub default: Option<Value>,
}

impl Type {
    /// Returns the type of a value: of a list always a tuple, of a map an object, of null [`Type::Any`].
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Any,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::String(_) | Value::Deferred(_) => Self::String,
            Value::List(items) => Self::Tuple(items.iter().map(Self::of).collect()),
            Value::Map(items) => Self::Object(
                items
                    .iter()
                    .map(|(key, item)| (key.clone(), Attribute { of: Self::of(item), default: None }))
                    .collect(),
            ),
        }
    }

    /// Whether a value for this type is given literally on the command line and in the environment, and not as an
    /// expression: Packer does so for `string`, `number` and `any`.
    pub fn is_given_literally(&self) -> bool {
        matches!(self, Self::String | Self::Number | Self::Any)
    }
}

/// As it is written: `list(string)`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Set(of) => write!(f, "set({of})"),
            Self::Map(of) => write!(f, "map({of})"),
            Self::Tuple(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "tuple([{}])", items.join(", "))
            }
            Self::Object(attributes) => {
                let attributes: Vec<String> = attributes
                    .iter()
                    .map(|(name, Attribute { of, default })| match default {
                        Some(_) => format!("{name} = optional({of})"),
                        None => format!("{name} = {of}"),
                    })
                    .collect();
                write!(f, "object({{{}}})", attributes.join(", "))
            }
        }
    }
}
