//! The provisioners and post-processors of one build.

use bakehouse_hcl::{Type, Value};

use super::{
    blocks::Schema,
    evaluation::Evaluation,
    expand::not_written,
    nodes::tree,
    options::{role, wanted},
    syntax::{Attribute, Block, Item},
};
use crate::{
    blocks::{Block as Options, selectable_name},
    diagnostic::Diagnostic,
    options::Table,
    post_processor, provisioner,
    selection::Selection,
    tree::{Entry, Map, Node, SourceString},
};

/// The attributes of every step that say which builds it is for.
const SELECTORS: [&str; 3] = ["only", "except", "override"];
/// The other attributes of a provisioner that are not options of its plugin.
const OF_PROVISIONER: [&str; 8] =
    ["name", "only", "except", "override", "pause_before", "timeout", "max_retries", "continue_on_error"];
/// The attributes of a post-processor that are not options of its plugin.
const OF_POST_PROCESSOR: [&str; 4] = ["name", "only", "except", "keep_input_artifact"];

const CHAIN: Schema = Schema { owner: "`post-processors`", attributes: &[], blocks: &[("post-processor", &["type"])] };

/// Reads the steps of a build.
pub(super) struct Steps<'a, 's> {
    pub(super) evaluation: &'a Evaluation<'a>,
    pub(super) selection: &'a Selection<'s>,
    /// The type and the name of the source, as `only` and `except` name it.
    pub(super) full_name: String,
    /// The names by which `override` may name it: the name in this build, and its own.
    pub(super) names: [String; 2],
}

impl Steps<'_, '_> {
    pub(super) fn provisioners(&self, blocks: &[Block<'_>]) -> Vec<Options> {
        blocks.iter().filter(|block| block.kind.value == "provisioner").filter_map(|block| self.step(block)).collect()
    }

    pub(super) fn error_cleanup(&self, blocks: &[Block<'_>]) -> Option<Options> {
        let mut found = blocks.iter().filter(|block| block.kind.value == "error-cleanup-provisioner");
        let (first, second) = (found.next()?, found.next());
        if let Some(second) = second {
            let what = "`error-cleanup-provisioner`";
            super::blocks::twice(&second.header(), what, &first.header(), self.evaluation.shared.diagnostics);
        }
        self.step(first)
    }

    /// Returns the chains of post-processors.
    pub(super) fn post_processors(&self, blocks: &[Block<'_>]) -> Vec<Vec<Options>> {
        let mut chains = Vec::new();
        for block in blocks {
            let chain = match block.kind.value.as_str() {
                "post-processor" => vec![block.clone()],
                "post-processors" => {
                    let items = self.evaluation.items(&block.body, &|name| CHAIN.role(name));
                    CHAIN.check(items, self.evaluation.shared.diagnostics).1
                }
                _ => continue,
            };
            let mut read = Vec::new();
            for block in &chain {
                let Some(step) = self.step(block) else { continue };
                // What comes after one that is left out would get nothing.
                if self.selection.excludes(selectable_name(&step.kind, &step.options)) {
                    break;
                }
                read.push(step);
            }
            if !read.is_empty() {
                chains.push(read);
            }
        }
        chains
    }

    /// Returns a step as it is for this build, if it is for it.
    fn step(&self, block: &Block<'_>) -> Option<Options> {
        let kind = block.labels.first()?;
        if !self.evaluation.count_block(&block.header()) {
            return None;
        }
        let is_provisioner = block.kind.value != "post-processor";
        let (table, own): (_, &[&str]) = match is_provisioner {
            true => (provisioner::table(&kind.value), &OF_PROVISIONER),
            false => (post_processor::table(&kind.value), &OF_POST_PROCESSOR),
        };
        let (mut selectors, mut items) = (Vec::new(), Vec::new());
        for item in self.evaluation.items(&block.body, &role(table, own)) {
            match item {
                Item::Attribute(attribute) if SELECTORS.contains(&attribute.name.value.as_str()) => {
                    match selectors.iter().find(|known: &&Attribute<'_>| known.name.value == attribute.name.value) {
                        Some(first) => {
                            self.evaluation.twice(&attribute.name, &first.name.location, "Keep one of the two.")
                        }
                        None => selectors.push(attribute),
                    }
                }
                other => items.push(other),
            }
        }
        if !self.is_for_this(&selectors) {
            return None;
        }
        if is_provisioner {
            // A provisioner's name has no effect; it is checked all the same.
            items.retain(|item| match item {
                Item::Attribute(attribute) if attribute.name.value == "name" => {
                    self.evaluation.node(&attribute.expression, &Type::String);
                    false
                }
                _ => true,
            });
        }
        let mut options = self.evaluation.options(&items, table, &block.header());
        if let Some(attribute) = selectors.iter().find(|attribute| attribute.name.value == "override") {
            self.apply(attribute, &mut options, table);
        }
        Some(Options { kind: kind.clone(), options })
    }

    /// Whether `only` and `except` leave this build in.
    fn is_for_this(&self, selectors: &[Attribute<'_>]) -> bool {
        let names = |key: &str| {
            let attribute = selectors.iter().find(|attribute| attribute.name.value == key)?;
            match self.evaluation.node(&attribute.expression, &Type::List(Box::new(Type::String))) {
                Node::List(list) => Some((attribute, list.value)),
                _ => None,
            }
        };
        let is_in = |names: &[Node]| {
            names.iter().any(|name| matches!(name, Node::String(name) if name.value == self.full_name))
        };
        let (only, except) = (names("only"), names("except"));
        if let (Some((_, only)), Some((attribute, except))) = (&only, &except)
            && !only.is_empty()
            && !except.is_empty()
        {
            let help = Some("Keep one of the two.".to_owned());
            self.evaluation.error(&attribute.name.location, "`except` cannot be combined with `only`", help);
        }
        only.is_none_or(|(_, only)| only.is_empty() || is_in(&only))
            && !except.is_some_and(|(_, except)| is_in(&except))
    }

    /// Lays the options that `override` has for this build over those of the step.
    fn apply(&self, attribute: &Attribute<'_>, options: &mut Map, table: Option<&Table>) {
        let location = attribute.expression.location();
        let Some((value, _)) = self.evaluation.value(&attribute.expression) else { return };
        let Value::Map(mut overrides) = value else {
            let message = format!("`override` is {}", value.kind());
            let help = "Write override = { NAME = { … } } with the name of a source and options.".to_owned();
            return self.evaluation.error(&location, message, Some(help));
        };
        let Some(replaced) = self.names.iter().find_map(|name| overrides.remove(name)) else { return };
        let Value::Map(replaced) = replaced else {
            let message = format!("the options in `override` are {}", replaced.kind());
            return self.evaluation.error(&location, message, Some("Write { … } with options.".to_owned()));
        };
        for (name, value) in replaced {
            let key: SourceString = not_written(name, &location);
            let value = match wanted(table, &key.value).convert(value) {
                Ok(value) => tree(value, &location),
                Err(error) => {
                    self.evaluation
                        .shared
                        .diagnostics
                        .add(Diagnostic::error(&location, format!("`{}` in `override`: {error}", key.value)));
                    Node::Invalid(location.clone())
                }
            };
            options.entries.retain(|entry| entry.key.value != key.value);
            options.entries.push(Entry { key, value });
        }
    }
}
