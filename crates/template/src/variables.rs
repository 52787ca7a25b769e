//! The template's variables: defaults, then variable files, then the command line; each value is itself a template.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bakehouse_protocol::mask::{self, Mask};

use crate::{
    context::Context,
    diagnostic::{Diagnostic, Notes},
    engine::Engine,
    files,
    inputs::{Inputs, Used},
    json,
    known::Site,
    nearest::nearest,
    source::Place,
    tree::{Map, Node, Text},
};

/// What each variable is to hold: its text, or nothing if it must be given and was not.
pub(crate) type Raw = BTreeMap<String, Option<Text>>;

/// The defaults of `variables`. Null means: must be given.
pub(crate) fn defaults(map: &Map, raw: &mut Raw, needed: &mut Vec<(String, Place)>, notes: &Notes) {
    for entry in &map.entries {
        let name = entry.key.value.clone();
        match &entry.value {
            Node::Text(text) => {
                raw.insert(name, Some(text.clone()));
            }
            Node::Null(_) => {
                needed.push((name.clone(), entry.key.place.clone()));
                raw.insert(name, None);
            }
            other => {
                notes.add(
                    Diagnostic::error(other.place(), format!("the variable `{name}` is {}", other.kind()))
                        .label("text or null is needed")
                        .help("Write the value between double quotes."),
                );
                // Known but without a value, so that its uses are not called undeclared.
                raw.insert(name, None);
            }
        }
    }
}

/// A variable file: a JSON object of texts.
pub(crate) fn file(path: &Path, context: &Context, raw: &mut Raw, notes: &Notes) {
    let name = path.display().to_string();
    let text = match files::read(&context.on_disk(path)) {
        Ok(text) => text,
        Err(error) => {
            return notes.add(Diagnostic::nowhere(format!("the variable file {name} cannot be read: {error}")));
        }
    };
    let Some(node) = json::read(&name, &text, notes) else {
        return;
    };
    let Node::Map(map) = node else {
        let message = format!("a variable file holds an object, not {}", node.kind());
        return notes.add(Diagnostic::error(node.place(), message).help("Write {\"name\": \"value\"}"));
    };
    for entry in map.entries {
        match entry.value {
            Node::Text(text) => {
                raw.insert(entry.key.value, Some(text));
            }
            other => notes.add(
                Diagnostic::error(other.place(), format!("the variable `{}` is {}", entry.key.value, other.kind()))
                    .label("text is needed")
                    .help("Write the value between double quotes."),
            ),
        }
    }
}

/// Renders every value. They may speak of each other in any order, but not in a circle. Gives the values, and the names
/// of those that could not be had.
pub(crate) fn resolve(
    raw: &Raw,
    needed: &[(String, Place)],
    context: &Context,
    template_dir: &Path,
    used: &Used,
    notes: &Notes,
) -> (BTreeMap<String, String>, BTreeSet<String>) {
    for (name, place) in needed {
        if raw.get(name).is_none_or(Option::is_none) {
            notes.add(
                Diagnostic::error(place, format!("the variable `{name}` must be given"))
                    .label("null means: there is no default")
                    .help(format!("Give it with -var '{name}=…' or in a variable file.")),
            );
        }
    }
    let mut resolver = Resolver {
        raw,
        done: BTreeMap::new(),
        broken: BTreeSet::new(),
        open: Vec::new(),
        context,
        template_dir,
        used,
        notes,
    };
    for name in raw.keys() {
        resolver.value(name);
    }
    (resolver.done, resolver.broken)
}

/// Returns the values of the sensitive variables. A name that no variable has is a mistake: its value would be shown.
pub(crate) fn sensitive(names: &[Text], values: &BTreeMap<String, String>, notes: &Notes) -> Vec<String> {
    let mut sensitive = Vec::new();
    for name in names {
        match values.get(&name.value) {
            Some(value) if value.is_empty() => {}
            Some(value) => {
                if !Mask::hides(value) {
                    // Without its place: the lines around it may show the value.
                    let (name, least) = (&name.value, mask::MIN_LENGTH);
                    let message = format!(
                        "the value of the sensitive variable `{name}` is shorter than {least} bytes and is not hidden in output"
                    );
                    notes.add(Diagnostic::nowhere_warning(message));
                }
                sensitive.push(value.clone());
            }
            None => {
                let help = match nearest(&name.value, values.keys().map(String::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => "Name a variable that `variables`, -var or a variable file gives.".to_owned(),
                };
                let message = format!("there is no variable `{}`, so nothing is hidden for it", name.value);
                notes.add(Diagnostic::error(&name.place, message).help(help));
            }
        }
    }
    sensitive
}

struct Resolver<'a> {
    raw: &'a Raw,
    done: BTreeMap<String, String>,
    broken: BTreeSet<String>,
    /// The names on the way here, to see circles.
    open: Vec<String>,
    context: &'a Context,
    template_dir: &'a Path,
    used: &'a Used,
    notes: &'a Notes,
}

/// How long a chain of variables may be.
const MAX_CHAIN: usize = 100;

impl Resolver<'_> {
    fn value(&mut self, name: &str) {
        if self.done.contains_key(name) {
            return;
        }
        // Whatever goes wrong has been noted.
        let value = match self.raw.get(name) {
            Some(Some(text)) => self.render(name, text),
            _ => None,
        };
        if value.is_none() {
            self.broken.insert(name.to_owned());
        }
        self.done.insert(name.to_owned(), value.unwrap_or_default());
    }

    fn render(&mut self, name: &str, text: &Text) -> Option<String> {
        self.open.push(name.to_owned());
        let fine = self.needs(text);
        self.open.pop();
        let inputs = Inputs {
            context: self.context,
            template_dir: self.template_dir,
            variables: &self.done,
            broken: &self.broken,
            used: self.used,
            notes: self.notes,
        };
        let engine = Engine { inputs, site: Site::Variable, build: None };
        if fine { engine.variable(text) } else { None }
    }

    /// Resolves the variables that a value calls.
    fn needs(&mut self, text: &Text) -> bool {
        let Ok(template) = bakehouse_gotemplate::Template::parse(&text.value) else {
            return true;
        };
        let mut fine = true;
        for call in template.functions().iter().filter(|call| call.name == "user") {
            let ([Some(bakehouse_gotemplate::Value::String(name))], [span]) =
                (call.arguments.as_slice(), call.argument_spans.as_slice())
            else {
                continue;
            };
            let place = text.part(span.start, span.end);
            if self.open.contains(name) || self.open.len() > MAX_CHAIN {
                fine = false;
                let circle = [self.open.join(" -> "), name.clone()].join(" -> ");
                let message = format!("the variable `{name}` needs itself: {circle}");
                self.notes.add(Diagnostic::error(&place, message).help("Break the circle."));
            } else if self.raw.contains_key(name) {
                self.value(name);
            } else {
                fine = false;
                let help = match nearest(name, self.raw.keys().map(String::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => format!("Declare it: \"variables\": {{\"{name}\": \"…\"}}"),
                };
                let message = format!("the variable `{name}` is not declared");
                self.notes.add(Diagnostic::error(&place, message).help(help));
            }
        }
        fine
    }
}
