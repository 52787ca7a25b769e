//! The files of a template: one, or those of a directory. Both syntaxes of HCL are read.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bakehouse_hcl as hcl;

use super::{
    duplicates,
    syntax::{Document, NativeFile},
};
use crate::{
    context::Context,
    diagnostic::{Diagnostic, Diagnostics},
    files,
    inputs::Usage,
    json,
    request::{LoadRequest, TemplateSource},
    source::SourceText,
    tree::Node,
};

/// The largest size of all files of a template together, in bytes: parsed, they take about a hundred times as much
/// memory.
const MAX_BYTES: usize = 1 << 20;

/// What is read before anything is evaluated.
pub(super) struct Files {
    pub(super) template: Vec<Document>,
    /// The variable files, in the order in which later ones override earlier ones.
    pub(super) variables: Vec<Document>,
    /// Which of the diagnostics are about them.
    pub(super) about_variables: Range<usize>,
    /// `path.root`: the template's directory as it was given.
    pub(super) root: String,
    /// The same, absolute.
    pub(super) directory: PathBuf,
}

/// Whether a template is in HCL: by the name of its file, or because it is a directory.
pub(crate) fn is_template(source: &TemplateSource, context: &Context) -> bool {
    let is_name = |name: &str| name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json");
    match source {
        TemplateSource::Text { name, .. } => is_name(name),
        TemplateSource::Path(path) => {
            is_name(&path.to_string_lossy()) || context.on_disk(&context.working_directory.join(path)).is_dir()
        }
    }
}

/// Reads all files. What can't be read is reported, and the others are returned.
pub(super) fn read(request: &LoadRequest, usage: &Usage, diagnostics: &Diagnostics) -> Files {
    let context = &request.context;
    let mut reader = Reader { context, usage, diagnostics, left: MAX_BYTES };
    let mut found = Files {
        template: Vec::new(),
        variables: Vec::new(),
        about_variables: 0..0,
        root: ".".to_owned(),
        directory: context.working_directory.clone(),
    };
    match &request.template {
        TemplateSource::Text { name, text } => {
            found.template.extend(reader.parse(name, text, is_json(name)));
            found.about_variables.start = diagnostics.len();
        }
        TemplateSource::Path(path) => {
            let full = context.working_directory.join(path);
            if context.on_disk(&full).is_dir() {
                found.root = path.to_string_lossy().into_owned();
                found.directory = full.clone();
                let names = reader.list(&full, path);
                let named = |ending: &'static str| names.iter().filter(move |name| name.ends_with(ending));
                let read = |reader: &mut Reader<'_>, endings: [&'static str; 2]| -> Vec<Document> {
                    let names = named(endings[0]).chain(named(endings[1]));
                    let written = |name: &String| if path == Path::new(".") { name.into() } else { path.join(name) };
                    names.filter_map(|name| reader.read("the template", &full.join(name), &written(name))).collect()
                };
                found.template = read(&mut reader, [".pkr.hcl", ".pkr.json"]);
                found.about_variables.start = diagnostics.len();
                found.variables = read(&mut reader, [".auto.pkrvars.hcl", ".auto.pkrvars.json"]);
                if named(".pkr.hcl").chain(named(".pkr.json")).next().is_none() {
                    let message = format!("there is no template in the directory {}", path.display());
                    diagnostics.add(
                        Diagnostic::without_location(message).help("A template is a file *.pkr.hcl or *.pkr.json."),
                    );
                }
            } else {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                found.root = parent.map_or_else(|| ".".to_owned(), |parent| parent.to_string_lossy().into_owned());
                found.directory = full.parent().unwrap_or(Path::new("/")).to_path_buf();
                found.template.extend(reader.read("the template", &full, path));
                found.about_variables.start = diagnostics.len();
            }
        }
    }
    for path in &request.var_files {
        let name = path.to_string_lossy();
        if !name.ends_with(".hcl") && !name.ends_with(".json") {
            let message = format!("the name of the variable file {name} ends neither in .hcl nor in .json");
            diagnostics
                .add(Diagnostic::without_location(message).help("Rename it to *.pkrvars.hcl or *.pkrvars.json."));
            continue;
        }
        found.variables.extend(reader.read("the variable file", &context.working_directory.join(path), path));
    }
    found.about_variables.end = diagnostics.len();
    found
}

fn is_json(name: &str) -> bool {
    name.ends_with(".json")
}

struct Reader<'a> {
    context: &'a Context,
    usage: &'a Usage,
    diagnostics: &'a Diagnostics,
    /// How many bytes all files together may still have.
    left: usize,
}

impl Reader<'_> {
    /// Returns the names in a directory, sorted.
    fn list(&self, directory: &Path, written: &Path) -> Vec<String> {
        let entries = fs::read_dir(self.context.on_disk(directory)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match entries {
            Ok(entries) => {
                let mut names: Vec<String> =
                    entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
                names.sort();
                names
            }
            Err(error) => {
                let message = format!("the directory {} cannot be read: {error}", written.display());
                self.diagnostics.add(Diagnostic::without_location(message));
                Vec::new()
            }
        }
    }

    fn read(&mut self, what: &str, path: &Path, written: &Path) -> Option<Document> {
        let name = written.to_string_lossy();
        match files::read(&self.context.on_disk(path)) {
            Ok(text) => {
                self.usage.record_file(path);
                self.parse(&name, &text, is_json(&name))
            }
            Err(error) => {
                let here = self.context.working_directory.display();
                self.diagnostics.add(
                    Diagnostic::without_location(format!("{what} {name} cannot be read: {error}"))
                        .help(format!("Paths are relative to the working directory, {here}")),
                );
                None
            }
        }
    }

    fn parse(&mut self, name: &str, text: &str, is_json: bool) -> Option<Document> {
        let Some(left) = self.left.checked_sub(text.len()) else {
            let message =
                format!("{name} cannot be read: the files of the template are larger than {} MiB", MAX_BYTES >> 20);
            self.diagnostics.add(Diagnostic::without_location(message));
            return None;
        };
        self.left = left;
        if is_json {
            return self.json(name, text);
        }
        // Editors of Windows put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source = Arc::new(SourceText::new(name, text));
        let (body, duplicates) = match hcl::parse_body(text) {
            Ok(body) => (body, BTreeSet::new()),
            Err(error) => duplicates::parse(&source, &error, self.diagnostics)?,
        };
        Some(Document::Native(NativeFile { source, body, duplicates }))
    }

    fn json(&self, name: &str, text: &str) -> Option<Document> {
        match json::parse(name, text, false, self.diagnostics)? {
            Node::Map(map) => match map.get("builders") {
                Some(builders) => {
                    let message = "this is a template in Packer's legacy JSON, but its name is that of one in HCL2";
                    let help = format!("Rename it to {}.json.", name.trim_end_matches(".pkr.json"));
                    self.diagnostics.add(Diagnostic::error(&builders.key.location, message).help(help));
                    None
                }
                None => Some(Document::Json(map)),
            },
            other => {
                let message = format!("a file in HCL's JSON syntax is an object, not {}", other.kind());
                let help = "Write {\"source\": {\"amazon-chroot\": {\"NAME\": {…}}}, \"build\": {…}}";
                self.diagnostics.add(Diagnostic::error(other.location(), message).help(help));
                None
            }
        }
    }
}
