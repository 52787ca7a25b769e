//! Locals and data sources: evaluated in the order of what they depend on.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    blocks::{Schema, twice},
    data,
    evaluation::{Evaluation, Shared, references},
    graph, literal,
    names::{Names, State},
    syntax::{Block, Body, Expression, Item, Role},
    values::hide,
};
use crate::{diagnostic::Diagnostic, inputs::Inputs, source::Location};

const LOCAL: Schema = Schema { owner: "`local`", attributes: &["expression", "sensitive"], blocks: &[] };

/// A local or a data source.
struct Definition<'a> {
    /// Its whole name: `local.x`, `data.amazon-ami.base`.
    name: String,
    location: Location,
    content: Content<'a>,
}

enum Content<'a> {
    Local { name: String, expression: Expression<'a>, is_sensitive: bool },
    Data(Block<'a>),
}

/// Evaluates all locals and data sources of the template, and adds them to the names. Returns the values that are
/// sensitive.
pub(super) fn evaluate(
    blocks: &[Block<'_>],
    shared: &Shared<'_>,
    inputs: &Inputs<'_>,
    names: &mut Names,
) -> Vec<String> {
    let definitions = collect(blocks, shared);
    let indices: BTreeMap<&str, usize> =
        definitions.iter().enumerate().map(|(index, definition)| (definition.name.as_str(), index)).collect();
    let dependencies: Vec<Vec<usize>> = definitions.iter().map(|definition| depends_on(definition, &indices)).collect();
    for definition in &definitions {
        names.declare(&definition.name);
    }
    let sorted = graph::sort(&dependencies);
    for cycle in &sorted.cycles {
        report_cycle(&definitions, cycle, shared);
    }
    let mut sensitive = Vec::new();
    for definition in sorted.order.into_iter().filter_map(|index| definitions.get(index)) {
        match &definition.content {
            Content::Local { name, expression, is_sensitive } => {
                let evaluation = Evaluation::new(shared, names);
                let Some((value, state)) = evaluation.local(expression) else { continue };
                if *is_sensitive && state == State::Known {
                    hide(&format!("local `{name}`"), &value, &mut sensitive, shared.diagnostics);
                }
                names.set("local", &[name], value, state);
            }
            Content::Data(block) => {
                let evaluation = Evaluation::new(shared, names);
                let (value, state) = data::read(block, &evaluation, inputs, &mut sensitive);
                names.set("data", &[block.label(0), block.label(1)], value, state);
            }
        }
    }
    sensitive
}

fn collect<'a>(blocks: &[Block<'a>], shared: &Shared<'_>) -> Vec<Definition<'a>> {
    let diagnostics = shared.diagnostics;
    let mut definitions: Vec<Definition<'a>> = Vec::new();
    let mut places: BTreeMap<String, Location> = BTreeMap::new();
    let mut add = |definition: Definition<'a>| match places.get(&definition.name) {
        Some(first) => twice(&definition.location, &format!("`{}`", definition.name), first, diagnostics),
        None => {
            places.insert(definition.name.clone(), definition.location.clone());
            definitions.push(definition);
        }
    };
    for block in blocks {
        match block.kind.value.as_str() {
            "locals" => {
                for item in block.body.items(&|_| Role::Attribute, diagnostics) {
                    let Some(attribute) = item.into_attribute(diagnostics) else { continue };
                    let (name, location) = (attribute.name.value, attribute.name.location);
                    let whole = format!("local.{name}");
                    let content = Content::Local { name, expression: attribute.expression, is_sensitive: false };
                    add(Definition { name: whole, location, content });
                }
            }
            "local" => {
                let (Some(name), items) =
                    (block.labels.first(), block.body.items(&|name| LOCAL.role(name), diagnostics))
                else {
                    continue;
                };
                let (attributes, _) = LOCAL.check(items, diagnostics);
                let find = |name: &str| attributes.iter().find(|attribute| attribute.name.value == name);
                let is_sensitive =
                    find("sensitive").and_then(|attribute| literal::bool(attribute, diagnostics)).unwrap_or_default();
                let Some(expression) = find("expression") else {
                    diagnostics.add(
                        Diagnostic::error(&block.header(), "this `local` has no `expression`")
                            .help("Write expression = … in it."),
                    );
                    continue;
                };
                let content = Content::Local {
                    name: name.value.clone(),
                    expression: expression.expression.clone(),
                    is_sensitive,
                };
                add(Definition { name: format!("local.{}", name.value), location: name.location.clone(), content });
            }
            "data" => {
                let name = format!("data.{}.{}", block.label(0), block.label(1));
                add(Definition { name, location: block.header(), content: Content::Data(block.clone()) });
            }
            _ => {}
        }
    }
    definitions
}

fn depends_on(definition: &Definition<'_>, indices: &BTreeMap<&str, usize>) -> Vec<usize> {
    let found = match &definition.content {
        Content::Local { expression, .. } => references(expression),
        Content::Data(block) => body_references(&block.body),
    };
    let index = |(path, _): (Vec<String>, Location)| {
        let parts = if path.first().is_some_and(|root| root == "data") { 3 } else { 2 };
        indices.get(path.get(..parts)?.join(".").as_str()).copied()
    };
    found.into_iter().filter_map(index).collect::<BTreeSet<usize>>().into_iter().collect()
}

/// Returns all references in a body and the blocks in it.
pub(super) fn body_references(body: &Body<'_>) -> Vec<(Vec<String>, Location)> {
    let mut found = Vec::new();
    // Whatever is wrong with the body is reported when it is read.
    for item in body.items(&|_| Role::Unknown, &crate::diagnostic::Diagnostics::default()) {
        match item {
            Item::Attribute(attribute) => found.extend(references(&attribute.expression)),
            Item::Block(block) => found.extend(body_references(&block.body)),
        }
    }
    found
}

fn report_cycle(definitions: &[Definition<'_>], cycle: &[usize], shared: &Shared<'_>) {
    let Some(first) = cycle.first().and_then(|index| definitions.get(*index)) else { return };
    let along: Vec<&Definition<'_>> = cycle.iter().filter_map(|index| definitions.get(*index)).collect();
    let names: Vec<&str> = along.iter().chain([&first]).map(|definition| definition.name.as_str()).collect();
    let message = if along.len() == 1 {
        format!("`{}` refers to itself", first.name)
    } else {
        format!("`{}` refers to itself: {}", first.name, names.join(" -> "))
    };
    let places = along.iter().skip(1).take(5).map(|definition| {
        let Location { source, .. } = &definition.location;
        format!("{} is at {}:{}", definition.name, source.name(), definition.location.line())
    });
    let places: Vec<String> = places.chain(["Remove one of these references.".to_owned()]).collect();
    shared.diagnostics.add(Diagnostic::error(&first.location, message).help(places.join("; ")));
}
