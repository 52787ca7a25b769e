//! From a request to specs or problems.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{Access, BuildSpec};

use crate::{
    context::Context,
    diagnostic::{Diagnostic, Notes, Problems},
    files,
    inputs::{Inputs, Used},
    json, root,
    tree::Text,
    variables::{self, Raw},
};

/// Where the template comes from.
#[derive(Clone, Debug)]
pub enum TemplateSource {
    /// A file, absolute or relative to the working directory.
    Path(PathBuf),
    /// A text, such as one from standard input, and what to call it.
    Text {
        /// What messages call it.
        name: String,
        /// The template.
        text: String,
    },
}

/// What to load.
#[derive(Clone, Debug)]
pub struct Request {
    /// The template.
    pub template: TemplateSource,
    /// `-var`: names and values; the later one wins, and all win over files.
    pub vars: Vec<(String, String)>,
    /// `-var-file`: absolute or relative to the working directory; the later one wins, and all win over defaults.
    pub var_files: Vec<PathBuf>,
    /// The world.
    pub context: Context,
}

/// A template without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One for each builder, in the template's order.
    pub builds: Vec<BuildSpec>,
    /// For each of them, how its builder says that AWS is reached. Not a part of the spec: it has secrets in it.
    pub access: Vec<Access>,
    /// What works but should be looked at.
    pub warnings: Vec<Diagnostic>,
    /// Values that must not be shown: those of `sensitive-variables`, `secret_key` and `token`.
    pub sensitive: Vec<String>,
    /// The variables of the environment that it asked for with `env`, whether they were set or not.
    pub environment: BTreeSet<String>,
}

/// Reads a template and everything it names.
///
/// # Errors
/// Every mistake at once.
pub fn load(request: &Request) -> Result<Loaded, Problems> {
    let notes = Notes::default();
    let used = Used::default();
    let found = read(request, &used, &notes);
    let (errors, warnings) = notes.into_parts();
    match found {
        Some((builds, sensitive)) if errors.is_empty() => {
            let (builds, access) = builds.into_iter().unzip();
            Ok(Loaded { builds, access, warnings, sensitive, environment: used.into_environment() })
        }
        _ if errors.is_empty() => {
            // Whoever gives nothing has noted why; should that ever fail, say so and do not succeed.
            let lost = Diagnostic::nowhere("the template could not be read, and the reason was lost: this is a bug");
            Err(Problems { errors: vec![lost], warnings })
        }
        _ => Err(Problems { errors, warnings }),
    }
}

/// The builds, and the values that must not be shown.
type Read = (Vec<(BuildSpec, Access)>, Vec<String>);

fn read(request: &Request, used: &Used, notes: &Notes) -> Option<Read> {
    let context = &request.context;
    let (name, text, directory) = template(request, notes)?;
    let json = json::read(&name, &text, notes);
    // The variable files are looked at even if the template is no JSON: their mistakes are told at once.
    let mut given = Raw::new();
    for path in &request.var_files {
        variables::file(&context.working_directory.join(path), context, &mut given, notes);
    }
    for (name, value) in &request.vars {
        given.insert(name.clone(), Some(Text::loose(&format!("-var {name}"), value)));
    }
    let root = root::read(json?, notes)?;
    let mut raw = Raw::new();
    let mut needed = Vec::new();
    if let Some(map) = &root.variables {
        variables::defaults(map, &mut raw, &mut needed, notes);
    }
    raw.extend(given);
    let (values, broken) = variables::resolve(&raw, &needed, context, &directory, used, notes);
    let mut sensitive = variables::sensitive(&root.sensitive, &values, notes);
    let inputs = Inputs { context, template_dir: &directory, variables: &values, broken: &broken, used, notes };
    let of_variables = sensitive.clone();
    let builds = root::builds(&root, &inputs, &mut sensitive);
    let keys = &sensitive[of_variables.len()..];
    let builds = builds.into_iter().map(|(spec, access)| {
        // A key of the account is no business of the hosts, unless a step has it anyway.
        let is_needed =
            |value: &&String| !keys.contains(value) || format!("{:?}", spec.provisioners).contains(&**value);
        let own = keys.iter().filter(|key| !of_variables.contains(key));
        let sensitive = of_variables.iter().chain(own).filter(is_needed).cloned().collect();
        (BuildSpec { sensitive, ..spec }, access)
    });
    Some((builds.collect(), sensitive))
}

/// The template's name, text and directory.
fn template(request: &Request, notes: &Notes) -> Option<(String, String, PathBuf)> {
    let here = &request.context.working_directory;
    let path = match &request.template {
        TemplateSource::Text { name, text } => {
            if let Err(error) = files::check_size(text) {
                notes.add(Diagnostic::nowhere(format!("the template {name} cannot be read: {error}")));
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
        notes.add(
            Diagnostic::nowhere(format!("{name} is a template in HCL2, which Bakehouse does not read yet"))
                .help("Give a template in Packer's JSON."),
        );
        return None;
    }
    match files::read(&on_disk) {
        Ok(text) => {
            let directory = full.parent().unwrap_or(Path::new("/")).to_path_buf();
            Some((name, text, std::path::absolute(&directory).unwrap_or(directory)))
        }
        Err(error) => {
            notes.add(
                Diagnostic::nowhere(format!("the template {name} cannot be read: {error}"))
                    .help(format!("Paths are relative to the working directory, {}", here.display())),
            );
            None
        }
    }
}
