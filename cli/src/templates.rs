//! Reads the template of a command, and prints its mistakes.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::Read as _,
    path::Path,
};

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_template::{
    Context, Diagnostic, LoadRequest, Loaded, MAX_BYTES, Problems, TemplateSource, limited, load,
};
use console::Term;
use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::{args::Variables, report::CliError, text};

/// The width of diagnostics without a terminal.
const WIDTH: usize = 120;

/// Reads a template. Warnings and mistakes are printed.
pub(crate) fn read(template: &Path, variables: &Variables, directory: &Path) -> Result<Loaded, CliError> {
    read_request(&request(source(template)?, variables, directory), template)
}

fn request(template: TemplateSource, variables: &Variables, directory: &Path) -> LoadRequest {
    let context = Context {
        now: WallClock.now(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        working_directory: directory.to_owned(),
        // The standard library's hasher is seeded by the system: all that `uuid` needs.
        uuid_seed: RandomState::new().build_hasher().finish(),
        root: "/".into(),
    };
    LoadRequest {
        vars: variables.vars.clone(),
        var_files: variables.var_files.clone(),
        ..LoadRequest::new(template, context)
    }
}

fn read_request(request: &LoadRequest, template: &Path) -> Result<Loaded, CliError> {
    match load(request) {
        Ok(loaded) => {
            print(&loaded.warnings, "warning");
            Ok(loaded)
        }
        Err(Problems { errors, warnings }) => {
            print(&warnings, "warning");
            print(&errors, "mistake");
            let count = text::count(errors.len(), "mistake");
            Err(CliError::wrong(format!("{} has {count}", name(template))))
        }
    }
}

/// A template and where it comes from, for packing.
#[cfg(feature = "aws")]
pub(crate) struct Read {
    pub(crate) loaded: Loaded,
    /// Its file, or the name that a text takes.
    pub(crate) path: std::path::PathBuf,
    /// Its text, if it came from standard input.
    pub(crate) text: Option<String>,
    /// What it was loaded in: in the same it gives the same builds again.
    pub(crate) context: Context,
}

/// Reads a template, and keeps what packing it needs.
#[cfg(feature = "aws")]
pub(crate) fn read_text(template: &Path, variables: &Variables, directory: &Path) -> Result<Read, CliError> {
    let source = source(template)?;
    let (path, text) = match &source {
        TemplateSource::Path(path) => (path.clone(), None),
        TemplateSource::Text { text, .. } => ("template.json".into(), Some(text.clone())),
    };
    let request = request(source, variables, directory);
    let loaded = read_request(&request, template)?;
    Ok(Read { loaded, path, text, context: request.context })
}

/// Returns a template's name for messages.
pub(crate) fn name(template: &Path) -> String {
    if template == Path::new("-") { "standard input".to_owned() } else { template.display().to_string() }
}

/// The recipe's name: the template's file name.
pub(crate) fn recipe(template: &Path) -> String {
    template.file_name().map_or_else(|| name(template), |file| file.to_string_lossy().into_owned())
}

fn source(template: &Path) -> Result<TemplateSource, CliError> {
    if template != Path::new("-") {
        return Ok(TemplateSource::Path(template.to_owned()));
    }
    let mut text = String::new();
    // Of one that is too large, enough to see that it is.
    std::io::stdin()
        .take(MAX_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| CliError::wrong(format!("reading the template from standard input: {error}")))?;
    Ok(TemplateSource::Text { name: name(template), text })
}

/// Prints these mistakes or warnings; of very many only the first, and how many more there are.
fn print(diagnostics: &[Diagnostic], thing: &str) {
    let term = Term::stderr();
    let theme = match (term.is_term(), console::colors_enabled_stderr()) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, _) => GraphicalTheme::none(),
    };
    let width = if term.is_term() { usize::from(term.size().1) } else { WIDTH };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false).with_wrap_lines(term.is_term());
    let (first, rest) = limited(diagnostics, thing);
    for diagnostic in first {
        let mut rendered = String::new();
        // Writing to a string does not fail; should the handler itself, the message still comes out.
        if handler.render_report(&mut rendered, diagnostic).is_err() {
            rendered = diagnostic.to_string();
        }
        text::err(&format!("{}\n", rendered.trim_end()));
    }
    rest.iter().for_each(|rest| text::err(&format!("{rest}\n")));
}
