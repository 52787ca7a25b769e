//! What is in an HCL template. Nothing is evaluated: values are shown as they are written, and what has not the
//! expected form is passed over, as `validate` reports it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    blocks::ROOT,
    builds::without_root,
    files::{self, Files},
    syntax::{Attribute, Block, Body, Document, ExpressionSyntax, Item, Role},
    values,
};
use crate::{
    diagnostic::Diagnostics,
    inputs::Usage,
    inspection::{InspectedVariable, Inspection},
    request::LoadRequest,
    tree::Node,
};

/// Returns what is in a template. Files that can't be read are reported.
pub(crate) fn inspect(request: &LoadRequest, diagnostics: &Diagnostics) -> Inspection {
    let Files { template, variables, .. } = files::read(request, &Usage::default(), diagnostics);
    let mut inspection = Inspection::default();
    let mut sources = BTreeSet::new();
    for block in template.iter().flat_map(|document| blocks(&document.body(), &|name| ROOT.role(name))) {
        match block.kind.value.as_str() {
            "variable" => inspection.variables.extend(variable(&block)),
            "variables" => inspection.variables.extend(attributes(&block.body).map(|attribute| InspectedVariable {
                name: attribute.name.value.clone(),
                value: Some(written(&attribute)),
                is_required: false,
                is_sensitive: false,
            })),
            "build" => build(&block, &mut inspection, &mut sources),
            _ => {}
        }
    }
    let given = given(request, &variables);
    for variable in &mut inspection.variables {
        if let Some(value) = given.get(&variable.name) {
            variable.value = Some(value.clone());
        }
    }
    inspection
}

/// Returns the values that are given, by the names of the variables.
fn given(request: &LoadRequest, files: &[Document]) -> BTreeMap<String, String> {
    let environment = request.context.environment.iter();
    let mut given: BTreeMap<String, String> = environment
        .filter_map(|(name, value)| Some((name.strip_prefix(values::PREFIX)?.to_owned(), value.clone())))
        .collect();
    for file in files {
        given.extend(attributes(&file.body()).map(|attribute| (attribute.name.value.clone(), written(&attribute))));
    }
    given.extend(request.vars.iter().cloned());
    given
}

fn variable(block: &Block<'_>) -> Option<InspectedVariable> {
    let value = |name: &str| attributes(&block.body).find(|it| it.name.value == name).map(|it| written(&it));
    let default = value("default");
    Some(InspectedVariable {
        name: block.labels.first()?.value.clone(),
        is_required: default.is_none(),
        is_sensitive: value("sensitive").is_some_and(|text| text == "true"),
        value: default,
    })
}

fn build(build: &Block<'_>, inspection: &mut Inspection, seen: &mut BTreeSet<String>) {
    let (mut name, mut sources) = (None, Vec::new());
    for attribute in attributes(&build.body) {
        match attribute.name.value.as_str() {
            "name" => name = Some(written(&attribute)),
            "description" => inspection.description = Some(written(&attribute)),
            "sources" => sources.extend(texts(&attribute)),
            _ => {}
        }
    }
    let mut add_source = |written: &str, own_name: Option<String>| {
        let Some((kind, source)) = without_root(written).split_once('.') else { return };
        let source = own_name.as_deref().unwrap_or(source);
        let prefix = name.as_ref().map_or_else(String::new, |name| format!("{name}."));
        let shown = format!("{prefix}{kind}.{source}");
        if seen.insert(shown.clone()) {
            inspection.builders.push((shown, kind.to_owned()));
        }
    };
    sources.iter().for_each(|source| add_source(source, None));
    for block in blocks(&build.body, &in_build) {
        let label = block.labels.first().map(|label| label.value.clone());
        match (block.kind.value.as_str(), label) {
            ("source", Some(label)) => {
                let own_name = attributes(&block.body).find(|it| it.name.value == "name").map(|it| written(&it));
                add_source(&label, own_name);
            }
            ("provisioner", Some(kind)) => inspection.provisioners.push(kind),
            ("post-processor", Some(kind)) => inspection.post_processors.push(kind),
            ("post-processors", _) => {
                let chain = blocks(&block.body, &in_build);
                let kinds = chain.iter().filter_map(|block| Some(block.labels.first()?.value.clone()));
                inspection.post_processors.extend(kinds);
            }
            _ => {}
        }
    }
}

/// What the names in a `build` and in `post-processors` are, for the syntax in JSON.
fn in_build(name: &str) -> Role {
    match name {
        "source" | "provisioner" | "post-processor" | "error-cleanup-provisioner" => Role::Block(1),
        "post-processors" => Role::Block(0),
        _ => Role::Attribute,
    }
}

fn items<'a>(body: &Body<'a>, role: &dyn Fn(&str) -> Role) -> Vec<Item<'a>> {
    body.items(role, &Diagnostics::default())
}

fn blocks<'a>(body: &Body<'a>, role: &dyn Fn(&str) -> Role) -> Vec<Block<'a>> {
    let block = |item| if let Item::Block(block) = item { Some(block) } else { None };
    items(body, role).into_iter().filter_map(block).collect()
}

fn attributes<'a>(body: &Body<'a>) -> impl Iterator<Item = Attribute<'a>> {
    let attribute = |item| if let Item::Attribute(attribute) = item { Some(attribute) } else { None };
    items(body, &|_| Role::Attribute).into_iter().filter_map(attribute)
}

/// Returns a value as it is written; a text without its quotes.
fn written(attribute: &Attribute<'_>) -> String {
    if let ExpressionSyntax::Json(Node::String(text)) = attribute.expression.syntax {
        return text.value.clone();
    }
    let location = attribute.expression.location();
    let text = location.source.text().get(location.start..location.end).unwrap_or_default().trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or(text).to_owned()
}

/// Returns the texts of a list, or what names it has without quotes.
fn texts(attribute: &Attribute<'_>) -> Vec<String> {
    if let ExpressionSyntax::Json(Node::List(list)) = attribute.expression.syntax {
        let text = |node: &Node| if let Node::String(text) = node { Some(text.value.clone()) } else { None };
        return list.value.iter().filter_map(text).collect();
    }
    let list = written(attribute);
    let parts = list.trim_matches(['[', ']']).split([',', '\n']).map(|part| part.trim().trim_matches('"'));
    parts
        .filter(|part| !part.is_empty() && !part.starts_with('#') && !part.starts_with("//"))
        .map(str::to_owned)
        .collect()
}
