//! Bodies of blocks and attributes, the same for both syntaxes of HCL: the native one and JSON.

use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use bakehouse_hcl::{
    Value,
    hcl_edit::{self, Span as _, structure::BlockLabel},
};

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::{Location, SourceText},
    tree::{Map, Node, SourceString},
};

/// The iterators of the `dynamic` blocks around a body, outermost first, with their values.
pub(super) type Iterators = Rc<Vec<(String, Value)>>;

/// One file of a template.
pub(super) enum Document {
    Native(NativeFile),
    Json(Map),
}

/// A file in the native syntax.
pub(super) struct NativeFile {
    pub(super) source: Arc<SourceText>,
    pub(super) body: hcl_edit::structure::Body,
    /// Where attributes begin that are set for the second time, which has been reported.
    pub(super) duplicates: BTreeSet<usize>,
}

impl Document {
    /// Returns what is at the root of the file.
    pub(super) fn body(&self) -> Body<'_> {
        let syntax = match self {
            Self::Native(file) => BodySyntax::Native(file, &file.body),
            Self::Json(map) => BodySyntax::Json(vec![map]),
        };
        Body { syntax, iterators: Iterators::default() }
    }
}

/// What a name in a body is: JSON does not tell attributes from blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Attribute,
    /// A block with so many labels.
    Block(usize),
    /// A name that may not be used, or nobody knows.
    Unknown,
}

/// What is between the braces of a block, or a whole file.
#[derive(Clone)]
pub(super) struct Body<'a> {
    syntax: BodySyntax<'a>,
    iterators: Iterators,
}

#[derive(Clone)]
enum BodySyntax<'a> {
    Native(&'a NativeFile, &'a hcl_edit::structure::Body),
    Json(Vec<&'a Map>),
}

/// One part of a body.
#[derive(Clone)]
pub(super) enum Item<'a> {
    Attribute(Attribute<'a>),
    Block(Block<'a>),
}

impl Item<'_> {
    pub(super) fn name(&self) -> &SourceString {
        match self {
            Self::Attribute(attribute) => &attribute.name,
            Self::Block(block) => &block.kind,
        }
    }
}

#[derive(Clone)]
pub(super) struct Attribute<'a> {
    pub(super) name: SourceString,
    pub(super) expression: Expression<'a>,
}

#[derive(Clone)]
pub(super) struct Block<'a> {
    pub(super) kind: SourceString,
    pub(super) labels: Vec<SourceString>,
    pub(super) body: Body<'a>,
}

/// An expression of either syntax.
#[derive(Clone)]
pub(super) struct Expression<'a> {
    pub(super) syntax: ExpressionSyntax<'a>,
    pub(super) iterators: Iterators,
}

#[derive(Clone, Copy)]
pub(super) enum ExpressionSyntax<'a> {
    Native(&'a Arc<SourceText>, &'a hcl_edit::expr::Expression),
    /// Its strings, keys of objects included, are templates.
    Json(&'a Node),
}

impl Expression<'_> {
    pub(super) fn location(&self) -> Location {
        self.syntax.location()
    }
}

impl ExpressionSyntax<'_> {
    pub(super) fn location(&self) -> Location {
        match self {
            Self::Native(source, expression) => span(source, *expression),
            Self::Json(node) => node.location().clone(),
        }
    }
}

/// Returns the location of a part of a syntax tree.
pub(super) fn span(source: &Arc<SourceText>, part: &impl hcl_edit::Span) -> Location {
    Location::new(source, part.span().unwrap_or_default())
}

impl<'a> Body<'a> {
    /// Returns the same body with one more iterator around it.
    pub(super) fn with_iterator(&self, name: &str, value: Value) -> Self {
        let mut iterators = self.iterators.as_ref().clone();
        iterators.push((name.to_owned(), value));
        Self { iterators: Rc::new(iterators), ..self.clone() }
    }

    /// Returns the parts of the body, in their order. `role` says what a name is; in the native syntax the template
    /// itself says it.
    pub(super) fn items(&self, role: &dyn Fn(&str) -> Role, diagnostics: &Diagnostics) -> Vec<Item<'a>> {
        match &self.syntax {
            BodySyntax::Native(file, body) => {
                let is_first = |part: &&hcl_edit::structure::Structure| {
                    part.span().is_none_or(|span| !file.duplicates.contains(&span.start))
                };
                body.iter().filter(is_first).map(|part| self.native(file, part)).collect()
            }
            BodySyntax::Json(maps) => {
                let mut items = Vec::new();
                for entry in maps.iter().flat_map(|map| &map.entries) {
                    let name = entry.key.value.as_str();
                    let labels = match role(name) {
                        // A comment, by HCL's specification of its JSON syntax.
                        _ if name == "//" => continue,
                        Role::Block(labels) => labels,
                        _ if name == "dynamic" => 1,
                        Role::Attribute | Role::Unknown => {
                            items.push(Item::Attribute(Attribute {
                                name: entry.key.clone(),
                                expression: self.expression(ExpressionSyntax::Json(&entry.value)),
                            }));
                            continue;
                        }
                    };
                    let mut found = Vec::new();
                    json_blocks(&entry.key, &entry.value, labels, &mut Vec::new(), &mut found, diagnostics);
                    items.extend(found.into_iter().map(|(labels, map)| {
                        let body = self.inner(BodySyntax::Json(vec![map]));
                        Item::Block(Block { kind: entry.key.clone(), labels, body })
                    }));
                }
                items
            }
        }
    }

    fn native(&self, file: &'a NativeFile, part: &'a hcl_edit::structure::Structure) -> Item<'a> {
        let source = &file.source;
        let text = |value: &str, location: Location| {
            let start = location.start;
            SourceString { value: value.to_owned(), location, offsets: vec![(0, start)] }
        };
        match part {
            hcl_edit::structure::Structure::Attribute(attribute) => Item::Attribute(Attribute {
                name: text(attribute.key.as_str(), span(source, &attribute.key)),
                expression: self.expression(ExpressionSyntax::Native(source, &attribute.value)),
            }),
            hcl_edit::structure::Structure::Block(block) => {
                let labels = block.labels.iter().map(|label| match label {
                    BlockLabel::Ident(name) => text(name.as_str(), span(source, name)),
                    BlockLabel::String(name) => text(name.as_str(), span(source, name)),
                });
                let kind = text(block.ident.as_str(), span(source, &block.ident));
                let body = self.inner(BodySyntax::Native(file, &block.body));
                Item::Block(Block { kind, labels: labels.collect(), body })
            }
        }
    }

    fn expression(&self, syntax: ExpressionSyntax<'a>) -> Expression<'a> {
        Expression { syntax, iterators: self.iterators.clone() }
    }

    fn inner(&self, syntax: BodySyntax<'a>) -> Self {
        Self { syntax, iterators: self.iterators.clone() }
    }
}

/// Finds the blocks in the value of a JSON key: objects, nested by their labels; several are in a list.
fn json_blocks<'a>(
    key: &SourceString,
    node: &'a Node,
    labels: usize,
    found_labels: &mut Vec<SourceString>,
    found: &mut Vec<(Vec<SourceString>, &'a Map)>,
    diagnostics: &Diagnostics,
) {
    match node {
        Node::Map(map) if labels == 0 => found.push((found_labels.clone(), map)),
        Node::Map(map) => {
            for entry in &map.entries {
                found_labels.push(entry.key.clone());
                json_blocks(key, &entry.value, labels - 1, found_labels, found, diagnostics);
                found_labels.pop();
            }
        }
        Node::List(list) => {
            for element in &list.value {
                json_blocks(key, element, labels, found_labels, found, diagnostics);
            }
        }
        Node::Null(_) => {}
        other => {
            let name = &key.value;
            let wanted = "{\"…\": ".repeat(labels) + "{…}" + &"}".repeat(labels);
            diagnostics.add(
                Diagnostic::error(other.location(), format!("`{name}` is a block, but this is {}", other.kind()))
                    .label("an object is needed")
                    .help(format!("Write \"{name}\": {wanted}; several are a list.")),
            );
        }
    }
}

impl<'a> Block<'a> {
    /// Returns the label at a position, or "" after an error was reported.
    pub(super) fn label(&self, index: usize) -> &str {
        self.labels.get(index).map_or("", |label| label.value.as_str())
    }

    /// Returns the location from its type to its last label.
    pub(super) fn header(&self) -> Location {
        let first = &self.kind.location;
        match self.labels.last() {
            Some(last) if last.location.source.name() == first.source.name() && last.location.end > first.start => {
                Location { end: last.location.end, ..first.clone() }
            }
            _ => first.clone(),
        }
    }
}

impl<'a> Item<'a> {
    /// Returns the block, or reports that this is an attribute.
    pub(super) fn into_block(self, diagnostics: &Diagnostics) -> Option<Block<'a>> {
        match self {
            Self::Block(block) => Some(block),
            Self::Attribute(attribute) => {
                let name = &attribute.name.value;
                diagnostics.add(
                    Diagnostic::error(&attribute.name.location, format!("`{name}` is a block, not an attribute"))
                        .help(format!("Write {name} {{ … }} without `=`.")),
                );
                None
            }
        }
    }

    /// Returns the attribute, or reports that this is a block.
    pub(super) fn into_attribute(self, diagnostics: &Diagnostics) -> Option<Attribute<'a>> {
        match self {
            Self::Attribute(attribute) => Some(attribute),
            Self::Block(block) => {
                let name = &block.kind.value;
                diagnostics.add(
                    Diagnostic::error(&block.kind.location, format!("`{name}` is an attribute, not a block"))
                        .help(format!("Write {name} = …")),
                );
                None
            }
        }
    }
}
