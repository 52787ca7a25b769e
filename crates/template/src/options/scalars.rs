//! Packer's weak typing: what counts as text, as a number, as a bool.

use crate::{
    diagnostic::{Diagnostic, Notes},
    engine::Engine,
    source::Place,
    tree::{At, Node, Text},
};

/// Reads single values of one block.
#[derive(Clone, Copy)]
pub(crate) struct Scalars<'a> {
    pub(crate) engine: &'a Engine<'a>,
}

impl Scalars<'_> {
    pub(crate) fn notes(&self) -> &Notes {
        self.engine.inputs.notes
    }

    pub(crate) fn wrong(&self, node: &Node, wanted: &str, help: &str) {
        self.notes().add(
            Diagnostic::error(node.place(), format!("{} stands where {wanted} is needed", node.kind()))
                .label(format!("{wanted} is needed"))
                .help(help),
        );
    }

    /// Text as it is written: numbers and bools in Packer's spelling.
    pub(crate) fn raw(&self, node: &Node) -> Option<Text> {
        let literal =
            |value: String, place: &Place| Some(Text { value, place: place.clone(), offsets: vec![(0, place.start)] });
        match node {
            Node::Text(text) => Some(text.clone()),
            Node::Number(number) => match number.value.parse::<f64>() {
                // Whole numbers stay as written: an account id must not be rounded.
                Ok(_) if number.value.bytes().all(|b| b.is_ascii_digit()) => {
                    literal(number.value.clone(), &number.place)
                }
                // As Go writes it: the shortest decimal, no exponent.
                Ok(value) => literal(value.to_string(), &number.place),
                Err(_) => None,
            },
            Node::Bool(bool) => {
                let value = if bool.value { "1" } else { "0" };
                self.notes().add(
                    Diagnostic::warning(&bool.place, format!("{} becomes the text \"{value}\" here", bool.value))
                        .help(format!("As with Packer. Write \"{}\" if you mean the word.", bool.value)),
                );
                literal(value.to_owned(), &bool.place)
            }
            Node::Null(place) => literal(String::new(), place),
            Node::List(_) | Node::Map(_) => {
                self.wrong(node, "text", "Write one text between double quotes.");
                None
            }
        }
    }

    pub(crate) fn text(&self, node: &Node) -> Option<At<String>> {
        let raw = self.raw(node)?;
        self.engine.early(&raw).map(|value| At { value, place: raw.place })
    }

    pub(crate) fn integer(&self, node: &Node) -> Option<At<i64>> {
        let fail = |message: String| {
            self.notes().add(Diagnostic::error(node.place(), message).help("Write a whole number, as 8."));
        };
        let value = match node {
            // Fractions are cut, as with Packer; the range of f64's whole numbers is more than any option takes.
            Node::Number(number) => number.value.parse::<f64>().map(|n| n.trunc() as i64).unwrap_or_default(),
            Node::Bool(bool) => i64::from(bool.value),
            Node::Null(_) => 0,
            Node::Text(_) => {
                let text = self.text(node)?.value;
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
            Node::List(_) | Node::Map(_) => {
                fail(format!("{} stands where a whole number is needed", node.kind()));
                return None;
            }
        };
        Some(At::new(value, node.place()))
    }

    pub(crate) fn bool(&self, node: &Node) -> Option<At<bool>> {
        let value = match node {
            Node::Bool(bool) => bool.value,
            Node::Number(number) => number.value.parse::<f64>().is_ok_and(|n| n != 0.0),
            Node::Null(_) => false,
            Node::Text(_) => match self.text(node)?.value.as_str() {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
                "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
                other => {
                    let message = format!("\"{other}\" is neither true nor false");
                    self.notes().add(Diagnostic::error(node.place(), message).help("Write true or false."));
                    return None;
                }
            },
            Node::List(_) | Node::Map(_) => {
                self.wrong(node, "a bool", "Write true or false.");
                return None;
            }
        };
        Some(At::new(value, node.place()))
    }

    /// The elements of a list. A lone value is a list of one; a lone text is split at its commas.
    pub(crate) fn elements(&self, node: &Node) -> Option<Vec<Text>> {
        match node {
            Node::List(list) => {
                let read: Vec<Option<Text>> = list.value.iter().map(|element| self.raw(element)).collect();
                read.into_iter().collect()
            }
            Node::Map(_) => {
                self.wrong(node, "a list", "Write a list: [\"…\", \"…\"]");
                None
            }
            Node::Text(text) => Some(self.commas(text)),
            other => self.raw(other).map(|text| vec![text]),
        }
    }

    /// Splits at every comma, blanks kept; nothing of nothing.
    pub(crate) fn commas(&self, text: &Text) -> Vec<Text> {
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
            self.notes().add(
                Diagnostic::warning(
                    &text.place,
                    format!("a lone text is split at its commas: this is {} elements", parts.len()),
                )
                .help("As with Packer. Write a list, [\"…\"], to say what you mean."),
            );
        }
        parts
    }

    /// Names and values of an object; a list of objects is merged.
    pub(crate) fn pairs(&self, node: &Node) -> Option<Vec<(Text, Text)>> {
        let maps = match node {
            Node::Map(map) => vec![map],
            Node::List(list) if list.value.iter().all(|element| matches!(element, Node::Map(_))) => list
                .value
                .iter()
                .filter_map(|element| if let Node::Map(map) = element { Some(map) } else { None })
                .collect(),
            _ => {
                self.wrong(node, "an object", "Write an object: {\"Name\": \"value\"}");
                return None;
            }
        };
        let entries = maps.into_iter().flat_map(|map| &map.entries);
        let read: Vec<Option<(Text, Text)>> =
            entries.map(|entry| Some((entry.key.clone(), self.raw(&entry.value)?))).collect();
        read.into_iter().collect()
    }
}
