//! Packer's weak typing: which JSON values are accepted as a string, a number, a bool or a list, and how they are
//! converted.

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    renderer::Renderer,
    source::Location,
    tree::{Located, Node, SourceString, all},
};

/// Converts the values of one block.
#[derive(Clone, Copy)]
pub(crate) struct Coerce<'a> {
    pub(crate) renderer: &'a Renderer<'a>,
}

impl Coerce<'_> {
    pub(crate) fn diagnostics(&self) -> &Diagnostics {
        self.renderer.inputs.diagnostics
    }

    /// Reports a value of the wrong type.
    pub(crate) fn wrong_type(&self, node: &Node, wanted: &str, help: &str) {
        self.diagnostics().add(
            Diagnostic::error(node.location(), format!("expected {wanted}, found {}", node.kind()))
                .label(format!("{wanted} is needed"))
                .help(help),
        );
    }

    /// Returns a string before it is rendered. Numbers and bools are formatted as Packer does.
    pub(crate) fn raw(&self, node: &Node) -> Option<SourceString> {
        let literal = |value: String, location: &Location| {
            Some(SourceString { value, location: location.clone(), offsets: vec![(0, location.start)] })
        };
        match node {
            Node::String(text) => Some(text.clone()),
            Node::Number(number) => match number.value.parse::<f64>() {
                // Integers stay as they are written: an account id must not be rounded.
                Ok(_) if number.value.bytes().all(|b| b.is_ascii_digit()) => {
                    literal(number.value.clone(), &number.location)
                }
                // As Go formats it: the shortest decimal, without an exponent.
                Ok(value) => literal(value.to_string(), &number.location),
                Err(_) => None,
            },
            Node::Bool(bool) => {
                let value = if bool.value { "1" } else { "0" };
                self.diagnostics().add(
                    Diagnostic::warning(&bool.location, format!("{} becomes the string \"{value}\" here", bool.value))
                        .help(format!("As with Packer. Write \"{}\" if you mean the word.", bool.value)),
                );
                literal(value.to_owned(), &bool.location)
            }
            Node::Null(location) => literal(String::new(), location),
            Node::Invalid(_) => None,
            Node::List(_) | Node::Map(_) => {
                self.wrong_type(node, "a string", "Write one string between double quotes.");
                None
            }
        }
    }

    pub(crate) fn string(&self, node: &Node) -> Option<Located<String>> {
        let raw = self.raw(node)?;
        self.renderer.render(&raw).map(|value| Located { value, location: raw.location })
    }

    pub(crate) fn integer(&self, node: &Node) -> Option<Located<i64>> {
        let fail = |message: String| {
            self.diagnostics().add(Diagnostic::error(node.location(), message).help("Write an integer such as 8."));
        };
        let value = match node {
            // Fractions are truncated, as with Packer; f64 is exact for all integers that an option accepts.
            Node::Number(number) => number.value.parse::<f64>().map(|n| n.trunc() as i64).unwrap_or_default(),
            Node::Bool(bool) => i64::from(bool.value),
            Node::Null(_) => 0,
            Node::String(_) => {
                let text = self.string(node)?.value;
                if text.is_empty() {
                    0
                } else {
                    match bakehouse_gotemplate::parse_integer(&text) {
                        Ok(value) => value,
                        Err(why) => {
                            fail(why);
                            return None;
                        }
                    }
                }
            }
            Node::Invalid(_) => return None,
            Node::List(_) | Node::Map(_) => {
                fail(format!("expected an integer, found {}", node.kind()));
                return None;
            }
        };
        Some(Located::new(value, node.location()))
    }

    pub(crate) fn bool(&self, node: &Node) -> Option<Located<bool>> {
        let value = match node {
            Node::Bool(bool) => bool.value,
            Node::Number(number) => number.value.parse::<f64>().is_ok_and(|n| n != 0.0),
            Node::Null(_) => false,
            Node::String(_) => match self.string(node)?.value.as_str() {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
                "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
                other => {
                    let message = format!("\"{other}\" is neither true nor false");
                    self.diagnostics().add(Diagnostic::error(node.location(), message).help("Write true or false."));
                    return None;
                }
            },
            Node::Invalid(_) => return None,
            Node::List(_) | Node::Map(_) => {
                self.wrong_type(node, "a bool", "Write true or false.");
                return None;
            }
        };
        Some(Located::new(value, node.location()))
    }

    /// Returns a bool that may be unset: "" leaves it so, as 0 does. Packer takes 2 for false.
    pub(crate) fn tri_state(&self, node: &Node) -> Option<Located<Option<bool>>> {
        let value = match node {
            Node::Number(number) => match number.value.as_str() {
                "0" => None,
                "1" => Some(true),
                "2" => Some(false),
                other => {
                    let message = format!("{other} is neither true nor false");
                    self.diagnostics().add(Diagnostic::error(node.location(), message).help("Write true or false."));
                    return None;
                }
            },
            Node::String(_) if self.string(node)?.value.is_empty() => None,
            other => Some(self.bool(other)?.value),
        };
        Some(Located::new(value, node.location()))
    }

    /// Returns the elements of a list. A single value is a list of one; a single string is split at its commas.
    pub(crate) fn elements(&self, node: &Node) -> Option<Vec<SourceString>> {
        match node {
            Node::List(list) => all(list.value.iter().map(|element| self.raw(element))),
            Node::Map(_) => {
                self.wrong_type(node, "a list", "Write a list: [\"…\", \"…\"]");
                None
            }
            Node::String(text) => Some(self.split_commas(text)),
            other => self.raw(other).map(|text| vec![text]),
        }
    }

    /// Splits a string at every comma, keeping spaces. An empty string has no elements.
    pub(crate) fn split_commas(&self, text: &SourceString) -> Vec<SourceString> {
        if text.value.is_empty() {
            return Vec::new();
        }
        let mut parts = Vec::new();
        let mut start = 0;
        for part in text.value.split(',') {
            parts.push(text.slice(start, start + part.len()));
            start += part.len() + 1;
        }
        if parts.len() > 1 {
            self.diagnostics().add(
                Diagnostic::warning(
                    &text.location,
                    format!("a single string is split at its commas: this is {} elements", parts.len()),
                )
                .help("As with Packer. Write a list, [\"…\"], to avoid this."),
            );
        }
        parts
    }

    /// Returns the keys and values of an object; a list of objects is merged.
    pub(crate) fn map(&self, node: &Node) -> Option<Vec<(SourceString, SourceString)>> {
        let maps = match node {
            Node::Map(map) => vec![map],
            Node::List(list) if list.value.iter().all(|element| matches!(element, Node::Map(_))) => list
                .value
                .iter()
                .filter_map(|element| if let Node::Map(map) = element { Some(map) } else { None })
                .collect(),
            _ => {
                self.wrong_type(node, "an object", "Write an object: {\"Name\": \"value\"}");
                return None;
            }
        };
        let entries = maps.into_iter().flat_map(|map| &map.entries);
        all(entries.map(|entry| Some((entry.key.clone(), self.raw(&entry.value)?))))
    }
}
