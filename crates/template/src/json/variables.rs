//! The variables of a template: defaults, then variable files, then the command line. Each value is itself a Go
//! template.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bakehouse_hcl::nearest;
use bakehouse_protocol::mask::{self, Mask};

use super::syntax;
use crate::{
    context::Context,
    diagnostic::{Diagnostic, Diagnostics},
    files,
    functions::Section,
    inputs::{Inputs, Usage},
    language::Language,
    renderer::Renderer,
    request::LoadRequest,
    source::Location,
    tree::{Map, Node, SourceString},
};

/// The variables before rendering; `None` for one that must be set and was not.
pub(super) type Raw = BTreeMap<String, Option<SourceString>>;

/// Reads the defaults of `variables`. A variable whose default is null must be set.
pub(super) fn read_defaults(
    map: &Map,
    raw: &mut Raw,
    required: &mut Vec<(String, Location)>,
    diagnostics: &Diagnostics,
) {
    for entry in &map.entries {
        let name = entry.key.value.clone();
        match &entry.value {
            Node::String(text) => {
                raw.insert(name, Some(text.clone()));
            }
            Node::Null(_) => {
                required.push((name.clone(), entry.key.location.clone()));
                raw.insert(name, None);
            }
            other => {
                diagnostics.add(
                    Diagnostic::error(other.location(), format!("the variable `{name}` is {}", other.kind()))
                        .label("a string or null is needed")
                        .help("Write the value between double quotes."),
                );
                // Declared without a value, so that its uses are not reported as undeclared.
                raw.insert(name, None);
            }
        }
    }
}

/// Returns the values that are given with the template: in files, and on the command line, which overrides them.
pub(super) fn given(request: &LoadRequest, diagnostics: &Diagnostics) -> Raw {
    let context = &request.context;
    let mut given = Raw::new();
    for path in &request.var_files {
        read_file(&context.working_directory.join(path), context, &mut given, diagnostics);
    }
    for (name, value) in &request.vars {
        given.insert(name.clone(), Some(SourceString::without_file(&format!("-var {name}"), value)));
    }
    given
}

/// Reads a variable file: a JSON object of strings.
fn read_file(path: &Path, context: &Context, raw: &mut Raw, diagnostics: &Diagnostics) {
    let name = path.display().to_string();
    let text = match files::read(&context.on_disk(path)) {
        Ok(text) => text,
        Err(error) => {
            return diagnostics
                .add(Diagnostic::without_location(format!("the variable file {name} cannot be read: {error}")));
        }
    };
    let Some(node) = syntax::parse(&name, &text, false, diagnostics) else {
        return;
    };
    let Node::Map(map) = node else {
        let message = format!("a variable file is an object, not {}", node.kind());
        return diagnostics.add(Diagnostic::error(node.location(), message).help("Write {\"name\": \"value\"}"));
    };
    for entry in map.entries {
        match entry.value {
            Node::String(text) => {
                raw.insert(entry.key.value, Some(text));
            }
            other => diagnostics.add(
                Diagnostic::error(other.location(), format!("the variable `{}` is {}", entry.key.value, other.kind()))
                    .label("a string is needed")
                    .help("Write the value between double quotes."),
            ),
        }
    }
}

/// Warns of variables that are given but not declared.
pub(super) fn warn_undeclared(given: &Raw, declared: &Raw, diagnostics: &Diagnostics) {
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        let message = format!("the variable `{name}` is given, but the template does not declare it");
        let help = match nearest(name, declared.keys().map(String::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("Declare it: \"variables\": {{\"{name}\": \"…\"}}"),
        };
        // Without a location: the line may show a secret.
        diagnostics.add(Diagnostic::warning_without_location(message).help(help));
    }
}

/// Renders every value. They may use each other in any order, but not in a cycle. Returns the values, and the names of
/// the variables that are invalid.
pub(super) fn resolve(
    raw: &Raw,
    required: &[(String, Location)],
    request: &LoadRequest,
    template_dir: &Path,
    usage: &Usage,
    diagnostics: &Diagnostics,
) -> (BTreeMap<String, String>, BTreeSet<String>) {
    for (name, location) in required {
        if raw.get(name).is_none_or(Option::is_none) {
            diagnostics.add(
                Diagnostic::error(location, format!("the variable `{name}` must be set"))
                    .label("null means that there is no default")
                    .help(format!("Set it with -var '{name}=…' or in a variable file.")),
            );
        }
    }
    let mut resolver = Resolver {
        raw,
        resolved: BTreeMap::new(),
        invalid: BTreeSet::new(),
        stack: Vec::new(),
        request,
        template_dir,
        usage,
        diagnostics,
    };
    for name in raw.keys() {
        resolver.resolve(name);
    }
    (resolver.resolved, resolver.invalid)
}

/// Returns the values of the sensitive variables. A name of no variable is an error, as its value would not be masked.
pub(super) fn sensitive(
    names: &[SourceString],
    values: &BTreeMap<String, String>,
    diagnostics: &Diagnostics,
) -> Vec<String> {
    let mut sensitive = Vec::new();
    for name in names {
        match values.get(&name.value) {
            Some(value) if value.is_empty() => {}
            Some(value) => {
                if !Mask::hides(value) {
                    // Without a location: the lines around it may show the value.
                    let (name, least) = (&name.value, mask::MIN_LENGTH);
                    let message = format!(
                        "the value of the sensitive variable `{name}` is shorter than {least} bytes and is not hidden in output"
                    );
                    diagnostics.add(Diagnostic::warning_without_location(message));
                }
                sensitive.push(value.clone());
            }
            None => {
                let help = match nearest(&name.value, values.keys().map(String::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => "Name a variable that `variables`, -var or a variable file sets.".to_owned(),
                };
                let message = format!("there is no variable `{}`, so no value is hidden", name.value);
                diagnostics.add(Diagnostic::error(&name.location, message).help(help));
            }
        }
    }
    sensitive
}

struct Resolver<'a> {
    raw: &'a Raw,
    resolved: BTreeMap<String, String>,
    invalid: BTreeSet<String>,
    /// The variables that are being resolved, to detect cycles.
    stack: Vec<String>,
    request: &'a LoadRequest,
    template_dir: &'a Path,
    usage: &'a Usage,
    diagnostics: &'a Diagnostics,
}

/// How deeply variables may use each other.
const MAX_DEPTH: usize = 100;

impl Resolver<'_> {
    fn resolve(&mut self, name: &str) {
        if self.resolved.contains_key(name) {
            return;
        }
        let value = match self.raw.get(name) {
            Some(Some(text)) => self.render(name, text),
            _ => None,
        };
        if value.is_none() {
            self.invalid.insert(name.to_owned());
        }
        self.resolved.insert(name.to_owned(), value.unwrap_or_default());
    }

    fn render(&mut self, name: &str, text: &SourceString) -> Option<String> {
        self.stack.push(name.to_owned());
        let valid = self.resolve_used(text);
        self.stack.pop();
        let inputs = Inputs {
            context: &self.request.context,
            template_dir: self.template_dir,
            language: Language::Json,
            variables: &self.resolved,
            invalid: &self.invalid,
            external: self.request.external.as_deref(),
            usage: self.usage,
            diagnostics: self.diagnostics,
        };
        let renderer = Renderer { inputs, section: Section::Variable, build: None };
        if valid { renderer.render_variable(text) } else { None }
    }

    /// Resolves the variables that a value uses. Returns false if that is impossible.
    fn resolve_used(&mut self, text: &SourceString) -> bool {
        let Ok(template) = bakehouse_gotemplate::Template::parse(&text.value) else {
            return true;
        };
        let mut valid = true;
        for call in template.functions().iter().filter(|call| call.name == "user") {
            let ([Some(bakehouse_gotemplate::Value::String(name))], [span]) =
                (call.arguments.as_slice(), call.argument_spans.as_slice())
            else {
                continue;
            };
            let location = text.part(span.start, span.end);
            if self.stack.len() > MAX_DEPTH {
                valid = false;
                let message = format!("this is more than {MAX_DEPTH} variables deep, each of which uses the next");
                self.diagnostics.add(Diagnostic::error(&location, message).help("Write the value itself."));
            } else if self.stack.contains(name) {
                valid = false;
                let cycle = [self.stack.join(" -> "), name.clone()].join(" -> ");
                let message = format!("the variable `{name}` refers to itself: {cycle}");
                self.diagnostics.add(Diagnostic::error(&location, message).help("Remove one of these references."));
            } else if self.raw.contains_key(name) {
                self.resolve(name);
            } else {
                valid = false;
                let help = match nearest(name, self.raw.keys().map(String::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => format!("Declare it: \"variables\": {{\"{name}\": \"…\"}}"),
                };
                let message = format!("the variable `{name}` is not declared");
                self.diagnostics.add(Diagnostic::error(&location, message).help(help));
            }
        }
        valid
    }
}
