//! `build` blocks: each with its sources, which make one build each.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_hcl::{Type, Value, nearest};

use super::{
    blocks::{self, twice},
    evaluation::Evaluation,
    options::role,
    steps::Steps,
    syntax::{Attribute, Block, Item},
};
use crate::{
    blocks::{Block as Options, BuildBlocks},
    diagnostic::Diagnostic,
    fields,
    options::AMAZON_CHROOT,
    selection::Selection,
    source::Location,
    tree::{Node, SourceString},
};

/// The sources of a template, by type and name.
pub(super) type Sources<'a> = BTreeMap<(String, String), Block<'a>>;

/// The builds of a template.
#[derive(Default)]
pub(super) struct Builds {
    /// Those to build.
    pub(super) selected: Vec<BuildBlocks>,
    /// The display names of the others.
    pub(super) skipped: Vec<String>,
}

/// A source in a `build` block.
struct Use<'a, 'b> {
    build: &'b Build<'a>,
    /// Where it is named.
    location: Location,
    source: Block<'a>,
    /// `name` of a `source` block in the build.
    local_name: Option<String>,
    /// What that block adds to the source.
    additions: Vec<Item<'a>>,
}

/// A `build` block.
struct Build<'a> {
    name: Option<String>,
    attributes: Vec<Attribute<'a>>,
    blocks: Vec<Block<'a>>,
    header: Location,
}

impl Use<'_, '_> {
    fn kind(&self) -> &str {
        self.source.label(0)
    }

    fn name(&self) -> &str {
        self.local_name.as_deref().unwrap_or_else(|| self.source.label(1))
    }

    /// Returns its type and name: provisioners refer to it by that.
    fn full_name(&self) -> String {
        format!("{}.{}", self.kind(), self.name())
    }

    fn display_name(&self) -> String {
        match &self.build.name {
            Some(build) => format!("{build}.{}", self.full_name()),
            None => self.full_name(),
        }
    }

    fn is_supported(&self) -> bool {
        self.kind() == AMAZON_CHROOT.owner
    }
}

/// Collects the sources. Two of one type and name are reported.
pub(super) fn sources<'a>(blocks: &[Block<'a>], evaluation: &Evaluation<'_>) -> Sources<'a> {
    let mut sources = Sources::new();
    for block in blocks.iter().filter(|block| block.kind.value == "source") {
        let key = (block.label(0).to_owned(), block.label(1).to_owned());
        match sources.get(&key) {
            Some(first) => {
                let what = format!("the source `{}.{}`", key.0, key.1);
                twice(&block.header(), &what, &first.header(), evaluation.shared.diagnostics);
            }
            None => {
                sources.insert(key, block.clone());
            }
        }
    }
    sources
}

/// Reads all builds that are selected.
pub(super) fn read<'a>(
    found: &[Block<'a>],
    sources: &Sources<'a>,
    evaluation: &Evaluation<'_>,
    selection: &Selection<'_>,
) -> Builds {
    let diagnostics = evaluation.shared.diagnostics;
    let builds: Vec<Build<'a>> = found
        .iter()
        .filter(|block| block.kind.value == "build")
        .map(|block| {
            let items = evaluation.items(&block.body, &|name| blocks::BUILD.role(name));
            let (attributes, inner) = blocks::BUILD.check(items, diagnostics);
            let name = attributes.iter().find(|it| it.name.value == "name");
            let name = name.and_then(|name| text(evaluation, name)).filter(|name| !name.is_empty());
            if let Some(description) = attributes.iter().find(|it| it.name.value == "description") {
                text(evaluation, description);
            }
            Build { name, attributes, blocks: inner, header: block.header() }
        })
        .collect();
    let uses: Vec<Use<'a, '_>> = builds.iter().flat_map(|build| uses(build, sources, evaluation)).collect();
    let (selected, skipped) = select(&uses, selection, evaluation);
    Builds { selected: selected.into_iter().map(|it| blocks_of(it, evaluation, selection)).collect(), skipped }
}

/// Returns the string that an attribute is set to.
fn text(evaluation: &Evaluation<'_>, attribute: &Attribute<'_>) -> Option<String> {
    match evaluation.node(&attribute.expression, &Type::String) {
        Node::String(text) => Some(text.value),
        _ => None,
    }
}

/// Returns the sources of a build: those of its list, then those of its blocks.
fn uses<'a, 'b>(build: &'b Build<'a>, sources: &Sources<'a>, evaluation: &Evaluation<'_>) -> Vec<Use<'a, 'b>> {
    let mut uses = Vec::new();
    let mut is_valid = true;
    let mut names = Vec::new();
    if let Some(list) = build.attributes.iter().find(|attribute| attribute.name.value == "sources") {
        match evaluation.node(&list.expression, &Type::List(Box::new(Type::String))) {
            Node::List(list) => {
                for name in list.value {
                    match name {
                        Node::String(name) => names.push(name),
                        _ => is_valid = false,
                    }
                }
            }
            _ => is_valid = false,
        }
    }
    let of_list = names.into_iter().map(|name| (name, None));
    let of_blocks = build.blocks.iter().filter(|block| block.kind.value == "source");
    let of_blocks = of_blocks.filter_map(|block| Some((block.labels.first()?.clone(), Some(block))));
    for (reference, block) in of_list.chain(of_blocks) {
        let Some(source) = find(&reference, sources, evaluation) else {
            is_valid = false;
            continue;
        };
        let mut found = Use {
            build,
            location: reference.location.clone(),
            source: source.clone(),
            local_name: None,
            additions: Vec::new(),
        };
        if let Some(block) = block {
            let table = found.is_supported().then_some(&AMAZON_CHROOT);
            for item in evaluation.items(&block.body, &role(table, &["name"])) {
                match item {
                    Item::Attribute(attribute) if attribute.name.value == "name" => {
                        found.local_name = text(evaluation, &attribute).filter(|name| !name.is_empty());
                    }
                    other => found.additions.push(other),
                }
            }
        }
        uses.push(found);
    }
    if uses.is_empty() && is_valid {
        evaluation.shared.diagnostics.add(
            Diagnostic::error(&build.header, "this `build` has no sources")
                .help("Write sources = [\"source.amazon-chroot.NAME\"] in it."),
        );
    }
    uses
}

/// Returns a reference to a source without `source.` or `sources.`: `TYPE.NAME`.
pub(super) fn without_root(reference: &str) -> &str {
    reference.strip_prefix("source.").or_else(|| reference.strip_prefix("sources.")).unwrap_or(reference)
}

/// Finds the source that `source.TYPE.NAME`, `sources.TYPE.NAME` or `TYPE.NAME` names.
fn find<'s, 'a>(
    reference: &SourceString,
    sources: &'s Sources<'a>,
    evaluation: &Evaluation<'_>,
) -> Option<&'s Block<'a>> {
    let name = without_root(&reference.value);
    let found = name.split_once('.').and_then(|(kind, name)| sources.get(&(kind.to_owned(), name.to_owned())));
    if found.is_none() {
        let known: Vec<String> = sources.keys().map(|(kind, name)| format!("{kind}.{name}")).collect();
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean \"source.{near}\"?"),
            None => match name.split_once('.') {
                Some((kind, name)) => format!("Declare it: source \"{kind}\" \"{name}\" {{ … }}"),
                None => "Write \"source.TYPE.NAME\", such as \"source.amazon-chroot.web\".".to_owned(),
            },
        };
        evaluation.error(&reference.location, format!("there is no source \"{name}\""), Some(help));
    }
    found
}

/// Returns what to build, and the display names of the rest. Builders of other types are skipped unless `-only` names
/// one.
fn select<'u, 'a, 'b>(
    uses: &'u [Use<'a, 'b>],
    selection: &Selection<'_>,
    evaluation: &Evaluation<'_>,
) -> (Vec<&'u Use<'a, 'b>>, Vec<String>) {
    let (mut selected, mut foreign, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for found in uses {
        let display_name = found.display_name();
        if !selection.selects(&[&display_name]) {
            skipped.push(display_name);
        } else if found.is_supported() {
            selected.push(found);
        } else {
            foreign.push((found, selection.asks_for(&[&display_name])));
            skipped.push(display_name);
        }
    }
    let nothing_else = selected.is_empty();
    if !uses.is_empty() {
        let known: Vec<String> = uses.iter().map(Use::display_name).collect();
        selection.check(selected.len() + foreign.len(), &known, evaluation.shared.diagnostics);
    }
    let mut told = BTreeSet::new();
    for (found, is_asked_for) in foreign {
        let (kind, display_name) = (found.kind(), found.display_name());
        if nothing_else && !is_asked_for && !told.insert(kind) {
            continue;
        }
        evaluation.shared.diagnostics.add(if nothing_else || is_asked_for {
            Diagnostic::error(&found.location, format!("the builder \"{kind}\" is not supported"))
                .help("Bakehouse supports Packer's \"amazon-chroot\" builder only.")
        } else {
            Diagnostic::warning(&found.location, format!("the build \"{display_name}\" is skipped"))
                .label(format!("the builder \"{kind}\" is not supported"))
                .help(format!("Bakehouse builds \"amazon-chroot\" only. Write -except={display_name} to say so."))
        });
    }
    (selected, skipped)
}

/// Evaluates a build.
fn blocks_of(found: &Use<'_, '_>, evaluation: &Evaluation<'_>, selection: &Selection<'_>) -> BuildBlocks {
    let source = [("name", found.name()), ("type", found.kind())];
    let source = map(source.map(|(key, value)| (key.to_owned(), value.into())));
    let local = BTreeMap::from([("source", source)]);
    let of_builder = evaluation.with(local.clone());
    let of_steps = evaluation.with(with_build(local, found.build.name.as_deref(), &evaluation.shared.run_uuid));
    let steps = Steps {
        evaluation: &of_steps,
        selection,
        full_name: found.full_name(),
        names: [found.name().to_owned(), found.source.label(1).to_owned()],
    };
    BuildBlocks {
        name: found.source.label(1).to_owned(),
        display_name: found.display_name(),
        builder: builder(found, &of_builder),
        provisioners: steps.provisioners(&found.build.blocks),
        error_cleanup: steps.error_cleanup(&found.build.blocks),
        post_processors: steps.post_processors(&found.build.blocks),
    }
}

fn builder(found: &Use<'_, '_>, evaluation: &Evaluation<'_>) -> Options {
    let mut items = evaluation.items(&found.source.body, &role(Some(&AMAZON_CHROOT), &[]));
    items.extend(found.additions.iter().cloned());
    let header = found.source.header();
    let kind = found.source.labels.first().cloned().unwrap_or_else(|| found.source.kind.clone());
    Options {
        kind: SourceString { location: header.clone(), ..kind },
        options: evaluation.options(&items, Some(&AMAZON_CHROOT), &header),
    }
}

/// Adds `build`: what is known of it, and as templates what is known only while it runs.
fn with_build(
    mut local: BTreeMap<&'static str, Value>,
    name: Option<&str>,
    run_uuid: &str,
) -> BTreeMap<&'static str, Value> {
    let deferred = |key: &&str| ((*key).to_owned(), Value::Deferred(format!("{{{{.{key}}}}}")));
    let known = [("name", name.unwrap_or_default()), (fields::RUN_UUID, run_uuid)];
    let known = known.map(|(key, value)| (key.to_owned(), Value::from(value)));
    local.insert("build", map(fields::BUILD.iter().map(deferred).chain(known)));
    local
}

fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Map(entries.into_iter().collect())
}
