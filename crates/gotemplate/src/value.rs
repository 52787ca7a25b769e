//! The values of templates.

use std::{collections::BTreeMap, fmt};

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// No value; prints as `<no value>`.
    #[default]
    Nil,
    /// A string.
    String(String),
    /// An integer.
    Int(i64),
    /// A bool.
    Bool(bool),
    /// A map.
    Map(BTreeMap<String, Value>),
    /// A list.
    List(Vec<Value>),
}

impl Value {
    /// Whether Go's `if`, `with`, `and`, `or` and `not` take it for true: all but false, 0, nil and what is empty.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::String(text) => !text.is_empty(),
            Self::Int(number) => *number != 0,
            Self::Bool(yes) => *yes,
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
        }
    }

    /// The name of its type in messages, with an article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "no value",
            Self::String(_) => "a string",
            Self::Int(_) => "an integer",
            Self::Bool(_) => "a bool",
            Self::Map(_) => "a map",
            Self::List(_) => "a list",
        }
    }
}

impl fmt::Display for Value {
    /// Formats it as `{{ }}` prints it: `[a b]`, `map[k:v]`; nil is `<no value>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<no value>"),
            Self::String(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bool(yes) => write!(f, "{yes}"),
            Self::List(list) => {
                f.write_str("[")?;
                for (i, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("map[")?;
                for (i, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}:{value}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}
