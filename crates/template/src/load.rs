//! Loads a template: the entry point of this crate.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{Access, BuildSpec};

use crate::{
    builds,
    context::Context,
    diagnostic::{Diagnostic, Diagnostics, Problems},
    document, files,
    inputs::{Inputs, Usage},
    json,
    tree::SourceString,
    variables::{self, Raw},
};

/// Where to read the template from.
#[derive(Clone, Debug)]
pub enum TemplateSource {
    /// A file, absolute or relative to the working directory.
    Path(PathBuf),
    /// A text, such as one from standard input, with a name.
    Text {
        /// Its name in messages.
        name: String,
        /// The template.
        text: String,
    },
}

/// A template to load, with its variables.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The template.
    pub template: TemplateSource,
    /// `-var`: names and values. Later ones override earlier ones, and all override the files.
    pub vars: Vec<(String, String)>,
    /// `-var-file`: absolute or relative to the working directory. Later ones override earlier ones, and all override
    /// the defaults.
    pub var_files: Vec<PathBuf>,
    /// What the template may know of its surroundings.
    pub context: Context,
}

/// A template that was loaded without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One for each builder, in the template's order.
    pub builds: Vec<BuildSpec>,
    /// For each of them, the access options of its builder. They are not in the spec because they hold secrets.
    pub access: Vec<Access>,
    /// Warnings about what works but is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Values that must be masked in all output: those of `sensitive-variables`, `secret_key` and `token`.
    pub sensitive: Vec<String>,
    /// The names of the environment variables that it uses with `env`, whether they are set or not.
    pub environment: BTreeSet<String>,
}

/// Loads a template and checks everything in it.
///
/// # Errors
/// All errors of the template at once.
pub fn load(request: &LoadRequest) -> Result<Loaded, Problems> {
    let diagnostics = Diagnostics::default();
    let usage = Usage::default();
    let found = read(request, &usage, &diagnostics);
    let (errors, warnings) = diagnostics.into_parts();
    match found {
        Some((builds, sensitive)) if errors.is_empty() => {
            let (builds, access) = builds.into_iter().unzip();
            Ok(Loaded { builds, access, warnings, sensitive, environment: usage.into_environment() })
        }
        _ if errors.is_empty() => {
            // `None` is returned only after an error was reported; if that fails, this must not succeed.
            let lost =
                Diagnostic::without_location("the template could not be read, and the reason was lost: this is a bug");
            Err(Problems { errors: vec![lost], warnings })
        }
        _ => Err(Problems { errors, warnings }),
    }
}

/// The builds, and the values that must be masked.
type Read = (Vec<(BuildSpec, Access)>, Vec<String>);

fn read(request: &LoadRequest, usage: &Usage, diagnostics: &Diagnostics) -> Option<Read> {
    let context = &request.context;
    let (name, text, directory) = template(request, diagnostics)?;
    let json = json::parse(&name, &text, diagnostics);
    // The variable files are read even if the template is not JSON, so that all errors are reported at once.
    let mut set = Raw::new();
    for path in &request.var_files {
        variables::read_file(&context.working_directory.join(path), context, &mut set, diagnostics);
    }
    for (name, value) in &request.vars {
        set.insert(name.clone(), Some(SourceString::without_file(&format!("-var {name}"), value)));
    }
    let document = document::read(json?, diagnostics)?;
    let mut raw = Raw::new();
    let mut required = Vec::new();
    if let Some(map) = &document.variables {
        variables::read_defaults(map, &mut raw, &mut required, diagnostics);
    }
    raw.extend(set);
    let (values, invalid) = variables::resolve(&raw, &required, context, &directory, usage, diagnostics);
    let mut sensitive = variables::sensitive(&document.sensitive, &values, diagnostics);
    let inputs =
        Inputs { context, template_dir: &directory, variables: &values, invalid: &invalid, usage, diagnostics };
    let from_variables = sensitive.clone();
    let builds = builds::read(&document, &inputs, &mut sensitive);
    let keys = &sensitive[from_variables.len()..];
    let builds = builds.into_iter().map(|(spec, access)| {
        // The hosts need not know an access key, unless a step uses it.
        let is_needed =
            |value: &&String| !keys.contains(value) || format!("{:?}", spec.provisioners).contains(&**value);
        let own = keys.iter().filter(|key| !from_variables.contains(key));
        let sensitive = from_variables.iter().chain(own).filter(is_needed).cloned().collect();
        (BuildSpec { sensitive, ..spec }, access)
    });
    Some((builds.collect(), sensitive))
}

/// Reads the template. Returns its name, text and directory.
fn template(request: &LoadRequest, diagnostics: &Diagnostics) -> Option<(String, String, PathBuf)> {
    let here = &request.context.working_directory;
    let path = match &request.template {
        TemplateSource::Text { name, text } => {
            if let Err(error) = files::check_size(text) {
                diagnostics.add(Diagnostic::without_location(format!("the template {name} cannot be read: {error}")));
                return None;
            }
            return Some((name.clone(), text.clone(), here.clone()));
        }
        TemplateSource::Path(path) => path,
    };
    let name = path.display().to_string();
    let full = here.join(path);
    let on_disk = request.context.on_disk(&full);
    if on_disk.is_dir() || name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json") {
        diagnostics.add(
            Diagnostic::without_location(format!("{name} is a template in HCL2, which Bakehouse does not support yet"))
                .help("Use a template in Packer's JSON."),
        );
        return None;
    }
    match files::read(&on_disk) {
        Ok(text) => {
            let directory = full.parent().unwrap_or(Path::new("/")).to_path_buf();
            Some((name, text, std::path::absolute(&directory).unwrap_or(directory)))
        }
        Err(error) => {
            diagnostics.add(
                Diagnostic::without_location(format!("the template {name} cannot be read: {error}"))
                    .help(format!("Paths are relative to the working directory, {}", here.display())),
            );
            None
        }
    }
}
