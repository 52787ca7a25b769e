//! What a template computes with.

use std::{collections::BTreeMap, fmt};

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// No value; prints as `<no value>`.
    #[default]
    Nil,
    /// Text.
    String(String),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Named values.
    Map(BTreeMap<String, Value>),
    /// Values in order.
    List(Vec<Value>),
}

impl Value {
    /// Go's rule for `if`, `and`, `or`, `not`, `with`: false, 0, empty and nil are false.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::String(text) => !text.is_empty(),
            Self::Int(number) => *number != 0,
            Self::Bool(yes) => *yes,
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
        }
    }

    /// The kind of the value in a message, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "no value",
            Self::String(_) => "text",
            Self::Int(_) => "a number",
            Self::Bool(_) => "a bool",
            Self::Map(_) => "a map",
            Self::List(_) => "a list",
        }
    }
}

impl fmt::Display for Value {
    /// As `fmt.Print` and so `{{ }}` writes it: `[a b]`, `map[k:v]`; nil is `<no value>`.
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
