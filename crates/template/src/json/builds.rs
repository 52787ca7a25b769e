//! The builds of a JSON template: each builder, with what applies to it of the rest of the template.

use std::collections::BTreeMap;

use super::{
    applies::{self, Applies, Names},
    document::{Document, wrong_type},
};
use crate::{
    blocks::{Block, BuildBlocks, selectable_name},
    diagnostic::{Diagnostic, Diagnostics},
    functions::Section,
    inputs::Inputs,
    options::AMAZON_CHROOT,
    renderer::Renderer,
    selection::Selection,
    source::Location,
    tree::{Located, Map, Node, SourceString},
};

/// The builds of a template.
pub(super) struct Builds {
    /// Those to build.
    pub(super) selected: Vec<BuildBlocks>,
    /// The display names of the others.
    pub(super) skipped: Vec<String>,
    /// All provisioners, without what is said of single builders.
    pub(super) provisioners: Vec<Block>,
}

/// A builder of any type.
struct Builder<'d> {
    map: &'d Map,
    kind: &'d SourceString,
    name: Located<String>,
    display_name: String,
    /// The names by which provisioners refer to it: as it is written, and as it is rendered.
    names: [String; 2],
}

impl Builder<'_> {
    fn is_supported(&self) -> bool {
        self.kind.value == AMAZON_CHROOT.owner
    }

    fn names(&self) -> [&str; 2] {
        [&self.names[0], &self.names[1]]
    }
}

/// A provisioner or a post-processor, with what it says of single builders.
struct Step<'d> {
    kind: &'d SourceString,
    options: Map,
    applies: Applies<'d>,
}

impl<'d> Step<'d> {
    fn provisioner(map: &'d Map, known: &Names, diagnostics: &Diagnostics) -> Option<Self> {
        let kind = kind(map, "provisioner", diagnostics)?;
        let options = map.without(&["type"]).without(&applies::KEYS);
        Some(Self { kind, options, applies: Applies::read(map, false, known, diagnostics) })
    }

    fn post_processor(map: &'d Map, known: &Names, diagnostics: &Diagnostics) -> Option<Self> {
        let kind = kind(map, "post-processor", diagnostics)?;
        if let Some(entry) = map.get("keep_input_artifact")
            && !matches!(entry.value, Node::Bool(_) | Node::Null(_))
        {
            wrong_type(&entry.value, "keep_input_artifact", "a bool", diagnostics);
        }
        let options = map.without(&["type", "only", "except"]);
        Some(Self { kind, options, applies: Applies::read(map, true, known, diagnostics) })
    }

    /// Returns the step as it is for a builder, if it is for it.
    fn block(&self, builder: &Builder<'_>) -> Option<Block> {
        let names = builder.names();
        self.applies.to(&names).then(|| self.applies.block(self.kind, &self.options, &names))
    }
}

/// Reads all builds.
pub(super) fn read(document: &Document, selection: &Selection<'_>, inputs: &Inputs<'_>) -> Builds {
    let diagnostics = inputs.diagnostics;
    let builders: Vec<Builder<'_>> = document.builders.iter().filter_map(|map| builder(map, inputs)).collect();
    check_names(&builders, diagnostics);
    let known: Names = builders.iter().flat_map(|builder| builder.names.clone()).collect();
    let steps: Vec<Step<'_>> =
        document.provisioners.iter().filter_map(|map| Step::provisioner(map, &known, diagnostics)).collect();
    let error_cleanup = document.error_cleanup.as_ref().and_then(|map| Step::provisioner(map, &known, diagnostics));
    let chains: Vec<Vec<Step<'_>>> = document
        .post_processors
        .iter()
        .map(|chain| chain.iter().filter_map(|map| Step::post_processor(map, &known, diagnostics)).collect())
        .collect();
    let Selected { builders: selected, skipped, foreign } = select(&builders, selection, diagnostics);
    let build = |builder: &&Builder<'_>| BuildBlocks {
        name: builder.name.value.clone(),
        display_name: builder.display_name.clone(),
        builder: Block { kind: builder.kind.clone(), options: builder.map.without(&["type", "name"]) },
        provisioners: steps.iter().filter_map(|step| step.block(builder)).collect(),
        error_cleanup: error_cleanup.as_ref().and_then(|step| step.block(builder)),
        post_processors: chains.iter().map(|chain| blocks(chain, builder, selection)).collect(),
    };
    let selected: Vec<BuildBlocks> = selected.iter().map(build).collect();
    let display_names: Vec<String> = builders.iter().map(|builder| builder.display_name.clone()).collect();
    if !builders.is_empty() {
        selection.check(selected.len() + foreign, &display_names, diagnostics);
    }
    Builds {
        selected,
        skipped,
        provisioners: steps
            .iter()
            .map(|step| Block { kind: step.kind.clone(), options: step.options.clone() })
            .collect(),
    }
}

/// Returns a chain of post-processors as it is for a builder. One that `-except` names ends its chain, as with Packer.
fn blocks(chain: &[Step<'_>], builder: &Builder<'_>, selection: &Selection<'_>) -> Vec<Block> {
    let applying = chain.iter().filter_map(|step| Some((step, step.block(builder)?)));
    applying
        .take_while(|(step, _)| !selection.excludes(selectable_name(step.kind, &step.options)))
        .map(|(_, block)| block)
        .collect()
}

/// What `-only` and `-except` leave.
struct Selected<'b, 'd> {
    /// The builders to build.
    builders: Vec<&'b Builder<'d>>,
    /// The display names of the others.
    skipped: Vec<String>,
    /// How many of them are selected, but of another type.
    foreign: usize,
}

/// Selects the builders to build. Of a builder of another type only its name is
/// read: it is skipped unless `-only` names it.
fn select<'b, 'd>(
    builders: &'b [Builder<'d>],
    selection: &Selection<'_>,
    diagnostics: &Diagnostics,
) -> Selected<'b, 'd> {
    let (mut selected, mut foreign, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for builder in builders {
        let full = format!("{}.{}", builder.kind.value, builder.name.value);
        let names = [builder.name.value.as_str(), &builder.display_name, &full];
        if !selection.selects(&names) {
            skipped.push(builder.display_name.clone());
        } else if builder.is_supported() {
            selected.push(builder);
        } else {
            skipped.push(builder.display_name.clone());
            foreign.push((builder, selection.asks_for(&names)));
        }
    }
    let nothing_else = selected.is_empty();
    let count = foreign.len();
    for (builder, is_asked_for) in foreign {
        let Builder { kind, display_name, .. } = builder;
        diagnostics.add(if nothing_else || is_asked_for {
            Diagnostic::error(&kind.location, format!("the builder \"{}\" is not supported", kind.value))
                .help("Bakehouse supports Packer's \"amazon-chroot\" builder only.")
        } else {
            Diagnostic::warning(&kind.location, format!("the build \"{display_name}\" is skipped"))
                .label("this builder is not supported")
                .help(format!("Bakehouse builds \"amazon-chroot\" only. Write -except={display_name} to say so."))
        });
    }
    Selected { builders: selected, skipped, foreign: count }
}

/// Reports names that two builders have.
fn check_names(builders: &[Builder<'_>], diagnostics: &Diagnostics) {
    let mut names: BTreeMap<&str, &Location> = BTreeMap::new();
    for Builder { name, .. } in builders {
        if let Some(first) = names.insert(&name.value, &name.location) {
            diagnostics.add(
                Diagnostic::error(&name.location, format!("two builders have the name \"{}\"", name.value))
                    .label(format!("the other is on line {}", first.line()))
                    .help("Give each builder a name of its own: \"name\": \"…\""),
            );
        }
    }
}

fn builder<'d>(map: &'d Map, inputs: &Inputs<'_>) -> Option<Builder<'d>> {
    let kind = kind(map, "builder", inputs.diagnostics)?;
    let (written, name) = match map.get("name").map(|entry| &entry.value) {
        None | Some(Node::Null(_)) => (None, None),
        Some(Node::String(text)) => (Some(text), Some(rendered(text, kind, inputs)?)),
        Some(other) => {
            wrong_type(other, "name", "a string", inputs.diagnostics);
            return None;
        }
    };
    let name = name.filter(|name| !name.value.is_empty());
    let display_name = match &name {
        Some(name) if name.value != kind.value => format!("{}.{}", kind.value, name.value),
        _ => kind.value.clone(),
    };
    let name = name.unwrap_or_else(|| Located::new(kind.value.clone(), &kind.location));
    let written = written.map_or(&name.value, |text| &text.value).clone();
    let names = [written, name.value.clone()];
    Some(Builder { map, kind, name, display_name, names })
}

fn rendered(name: &SourceString, kind: &SourceString, inputs: &Inputs<'_>) -> Option<Located<String>> {
    // Its own name is not known yet while it is rendered; the type is.
    let renderer = Renderer { inputs: *inputs, section: Section::Builder, build: Some(("", &kind.value)) };
    Some(Located { value: renderer.render(name)?, location: name.location.clone() })
}

/// Returns the type of a builder, a provisioner or a post-processor.
fn kind<'m>(map: &'m Map, what: &str, diagnostics: &Diagnostics) -> Option<&'m SourceString> {
    match map.get("type").map(|entry| &entry.value) {
        Some(Node::String(text)) => Some(text),
        Some(other) => {
            wrong_type(other, "type", "a string", diagnostics);
            None
        }
        None => {
            let help = match map.entries.iter().find(|entry| entry.key.value.eq_ignore_ascii_case("type")) {
                Some(entry) => format!("Write `type` instead of `{}`.", entry.key.value),
                None if what == "builder" => "Write \"type\": \"amazon-chroot\".".to_owned(),
                None if what == "post-processor" => "Write \"type\": \"manifest\".".to_owned(),
                None => "Write \"type\": \"shell\" or \"type\": \"file\".".to_owned(),
            };
            diagnostics.add(
                Diagnostic::error(&map.opening(), format!("this {what} has no type"))
                    .label("in this object")
                    .help(help),
            );
            None
        }
    }
}
