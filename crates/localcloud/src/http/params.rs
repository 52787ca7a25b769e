//! The parameters of a call: flat names such as `Filter.1.Value.2`, read as the structures that they represent.
//!
//! Every read is recorded, so that a parameter that was never read is refused by name.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use bakehouse_ec2::ApiError;

/// The parameters of one call.
#[derive(Debug, Default)]
pub struct Params {
    values: BTreeMap<String, String>,
    read: RefCell<BTreeSet<String>>,
}

impl Params {
    /// Parses `application/x-www-form-urlencoded` text: a body, or the query of a URL.
    ///
    /// # Errors
    /// `InvalidParameterCombination` for a name that occurs twice with different values.
    pub fn parse(texts: &[&[u8]]) -> Result<Self, ApiError> {
        let mut values = BTreeMap::new();
        for (name, value) in texts.iter().flat_map(|text| form_urlencoded::parse(text)) {
            let (name, value) = (name.into_owned(), value.into_owned());
            match values.get(&name) {
                Some(before) if *before != value => {
                    let message = format!("The parameter {name} may only be specified once");
                    return Err(ApiError::new("InvalidParameterCombination", message));
                }
                _ => drop(values.insert(name, value)),
            }
        }
        Ok(Self { values, read: RefCell::default() })
    }

    /// All parameters as they were received.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// All parameters as a structure.
    pub fn root(&self) -> Node<'_> {
        Node { params: self, prefix: String::new() }
    }

    /// Refuses parameters that were not read.
    ///
    /// # Errors
    /// `UnknownParameter` naming the first of them.
    pub fn reject_unread(&self) -> Result<(), ApiError> {
        let read = self.read.borrow();
        match self.values.keys().find(|name| !read.contains(*name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("The parameter {name} is not recognized (or not served by the embedded cloud)");
                Err(ApiError::new("UnknownParameter", message))
            }
        }
    }
}

/// The parameters with one prefix: all of a call, or one structure in it.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    params: &'a Params,
    prefix: String,
}

impl<'a> Node<'a> {
    fn full(&self, name: &str) -> String {
        if name.is_empty() {
            // An element of a list of texts: the prefix is its name.
            self.prefix.trim_end_matches('.').to_owned()
        } else {
            format!("{}{name}", self.prefix)
        }
    }

    /// A text, if it is present.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let full = self.full(name);
        let value = self.params.values.get(&full)?;
        self.params.read.borrow_mut().insert(full);
        Some(value)
    }

    /// A text, if it is present and not empty.
    pub fn non_empty(&self, name: &str) -> Option<&'a str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A text that must be present and not empty.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&'a str, ApiError> {
        self.non_empty(name).ok_or_else(|| {
            let message = format!("The request must contain the parameter {}", self.full(name));
            ApiError::new("MissingParameter", message)
        })
    }

    /// A value that is parsed from text, as a number or `true`, if it is present.
    ///
    /// # Errors
    /// `InvalidParameterValue`.
    pub fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.non_empty(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| invalid_value(&self.full(name), text))
    }

    /// `true` or `false`; `false` if it is absent.
    ///
    /// # Errors
    /// `InvalidParameterValue`.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.value(name)?.unwrap_or(false))
    }

    /// A flag that this cloud does not support: it must be `false` or absent.
    ///
    /// # Errors
    /// `UnsupportedOperation` if it is `true`.
    pub fn unsupported_flag(&self, name: &str) -> Result<(), ApiError> {
        if !self.flag(name)? {
            return Ok(());
        }
        let message = format!("The embedded cloud does not serve {}=true", self.full(name));
        Err(ApiError::new("UnsupportedOperation", message))
    }

    /// Parameters that this cloud does not support: each must be empty or absent.
    ///
    /// # Errors
    /// `UnsupportedOperation` if one is given.
    pub fn unsupported(&self, names: &[&str]) -> Result<(), ApiError> {
        // All are read, so that none counts as unknown.
        let given: Vec<&&str> = names.iter().filter(|name| self.non_empty(name).is_some()).collect();
        let Some(name) = given.first() else {
            return Ok(());
        };
        let message = format!("The embedded cloud does not serve the parameter {}", self.full(name));
        Err(ApiError::new("UnsupportedOperation", message))
    }

    /// The structure `NAME.…`.
    pub fn node(&self, name: &str) -> Node<'a> {
        Node { params: self.params, prefix: format!("{}{name}.", self.prefix) }
    }

    /// The structures `NAME.1.…`, `NAME.2.…`, in the order of their numbers.
    pub fn nodes(&self, name: &str) -> Vec<Node<'a>> {
        let prefix = format!("{}{name}.", self.prefix);
        let number = |key: &String| {
            let rest = key.strip_prefix(&prefix)?;
            rest.split('.').next()?.parse::<u32>().ok()
        };
        let after = self.params.values.range(prefix.clone()..).map(|(key, _)| key);
        let numbers: BTreeSet<u32> = after.take_while(|key| key.starts_with(&prefix)).filter_map(number).collect();
        // A number with leading zeros is not found under its name, and so refused as unknown.
        numbers.into_iter().map(|number| Node { params: self.params, prefix: format!("{prefix}{number}.") }).collect()
    }

    /// The texts `NAME.1`, `NAME.2`, in the order of their numbers.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.nodes(name).iter().filter_map(|node| node.text("")).map(ToOwned::to_owned).collect()
    }
}

/// EC2's error for an invalid value.
pub(crate) fn invalid_value(name: &str, value: &str) -> ApiError {
    ApiError::new("InvalidParameterValue", format!("Value ({value}) for parameter {name} is invalid."))
}
