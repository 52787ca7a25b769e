//! The options of a block, by the table of its kind: attributes as values, nested blocks as objects.

use std::collections::BTreeMap;

use bakehouse_hcl::Type;

use super::{
    evaluation::Evaluation,
    expand::not_written,
    syntax::{Block, Body, Expression, Item, Role},
};
use crate::{
    diagnostic::Diagnostic,
    options::{Kind, Table},
    source::Location,
    tree::{Entry, Located, Map, Node, SourceString},
};

/// Returns what a name in a block of this kind is. `attributes` are names that every such block has.
pub(super) fn role<'t>(table: Option<&'t Table>, attributes: &'t [&str]) -> impl Fn(&str) -> Role + 't {
    move |name| match table.and_then(|table| table.kind(name)) {
        _ if attributes.contains(&name) => Role::Attribute,
        Some(Kind::Block(_) | Kind::BlockList(_)) => Role::Block(0),
        Some(_) => Role::Attribute,
        None => Role::Unknown,
    }
}

/// Returns the type of the value of an option.
pub(super) fn wanted(table: Option<&Table>, name: &str) -> Type {
    match (table.and_then(|table| table.kind(name)), name) {
        (Some(kind), _) => type_of(kind),
        // What every step has.
        (None, "name" | "pause_before" | "timeout") => Type::String,
        (None, "max_retries") => Type::Number,
        (None, "continue_on_error" | "keep_input_artifact") => Type::Bool,
        (None, _) => Type::Any,
    }
}

fn type_of(kind: Kind) -> Type {
    let list = |of| Type::List(Box::new(of));
    match kind {
        Kind::String | Kind::Deferred(_) | Kind::Duration => Type::String,
        Kind::Integer => Type::Number,
        Kind::Bool | Kind::TriState => Type::Bool,
        Kind::StringList | Kind::DeferredList(_) => list(Type::String),
        Kind::IntegerList => list(Type::Number),
        Kind::StringMap | Kind::DeferredMap(_) => Type::Map(Box::new(Type::String)),
        Kind::StringTable => list(list(Type::String)),
        Kind::Block(_) | Kind::BlockList(_) => Type::Any,
    }
}

impl Evaluation<'_> {
    /// Returns the options that the parts of a block set. Without a table, they are only evaluated.
    pub(super) fn options(&self, items: &[Item<'_>], table: Option<&Table>, location: &Location) -> Map {
        let mut entries: Vec<Entry> = Vec::new();
        // The position in `entries` of each name.
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for item in items {
            let name = self.exact_name(item.name(), table);
            let kind = table.and_then(|table| table.kind(&name.value));
            let index = seen.get(&name.value).copied();
            let before = index.and_then(|index| entries.get_mut(index));
            let value = match (item, kind) {
                (Item::Attribute(_), Some(Kind::Block(_) | Kind::BlockList(_))) => {
                    item.clone().into_block(self.shared.diagnostics);
                    Node::Invalid(item.name().location.clone())
                }
                (Item::Attribute(attribute), _) => {
                    self.attribute(&attribute.expression, kind, &wanted(table, &name.value))
                }
                (Item::Block(block), Some(Kind::Block(table))) => {
                    if let Some(before) = before {
                        self.twice(
                            &name,
                            &before.key.location,
                            "There can be only one such block. Keep one of the two.",
                        );
                        continue;
                    }
                    Node::Map(self.block(block, Some(table)))
                }
                (Item::Block(block), Some(Kind::BlockList(_)) | None) => {
                    let table = if let Some(Kind::BlockList(table)) = kind { Some(table) } else { None };
                    let map = Node::Map(self.block(block, table));
                    if let Some(Entry { value: Node::List(list), .. }) = before {
                        list.value.push(map);
                        continue;
                    }
                    Node::List(Located::new(vec![map], &block.header()))
                }
                (Item::Block(_), Some(_)) => {
                    item.clone().into_attribute(self.shared.diagnostics);
                    Node::Invalid(item.name().location.clone())
                }
            };
            if let Some(before) = index.and_then(|index| entries.get(index)) {
                self.twice(&name, &before.key.location, "Keep one of the two.");
                continue;
            }
            seen.insert(name.value.clone(), entries.len());
            entries.push(Entry { key: name, value });
        }
        Map { entries, location: location.clone() }
    }

    /// Reports a name that is set for the second time.
    pub(super) fn twice(&self, name: &SourceString, first: &Location, help: &str) {
        let label = format!("it is already set {}", first.beside(&name.location));
        let message = format!("`{}` is set twice", name.value);
        self.shared.diagnostics.add(Diagnostic::error(&name.location, message).label(label).help(help));
    }

    fn attribute(&self, expression: &Expression<'_>, kind: Option<Kind>, wanted: &Type) -> Node {
        let node = self.node(expression, wanted);
        let numbers: Vec<&Located<String>> = match (kind, &node) {
            (Some(Kind::Integer), Node::Number(number)) => vec![number],
            (Some(Kind::IntegerList), Node::List(list)) => list
                .value
                .iter()
                .filter_map(|item| if let Node::Number(number) = item { Some(number) } else { None })
                .collect(),
            _ => return node,
        };
        for number in numbers {
            if number.value.contains('.') {
                let message = format!("{} is not an integer", number.value);
                self.error(&number.location, message, Some("Write an integer such as 8.".to_owned()));
                return Node::Invalid(number.location.clone());
            }
        }
        node
    }

    fn block(&self, block: &Block<'_>, table: Option<&Table>) -> Map {
        if let Some(label) = block.labels.first() {
            let message = format!("a `{}` block has no label", block.kind.value);
            self.error(&label.location, message, Some(format!("Write {} {{ … }}", block.kind.value)));
        }
        self.body(&block.body, table, &block.kind.location)
    }

    /// Returns the options in a body.
    pub(super) fn body(&self, body: &Body<'_>, table: Option<&Table>, location: &Location) -> Map {
        self.options(&self.items(body, &role(table, &[])), table, location)
    }

    /// Returns the name of an option as its table has it. HCL's names are case-sensitive: one that differs is reported.
    fn exact_name(&self, name: &SourceString, table: Option<&Table>) -> SourceString {
        let Some(exact) = table.and_then(|table| table.exact_name(&name.value)).filter(|exact| *exact != name.value)
        else {
            return name.clone();
        };
        let message = format!("`{}` is not an option: names are case-sensitive in HCL", name.value);
        self.error(&name.location, message, Some(format!("Write `{exact}`.")));
        not_written(exact.to_owned(), &name.location)
    }
}
