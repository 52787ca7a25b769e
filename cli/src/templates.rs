//! Reads the template of a command, and prints its mistakes.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::Read as _,
    path::Path,
    sync::Arc,
};

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_template::{
    Context, Diagnostic, External, Inspection, LoadRequest, Loaded, MAX_BYTES, Problems, Session, TemplateSource,
    check_syntax as check_template_syntax, console as open_console, inspect as inspect_template, limited, load,
};
use console::Term;
use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::{
    args::{Build, Selection, Variables},
    external::Services,
    report::{CliError, note},
    text,
};

/// The width of diagnostics without a terminal.
const WIDTH: usize = 120;

/// How a template is to be read, beyond its variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadOptions<'a> {
    /// `-only`, `-except`.
    pub(crate) selection: Option<&'a Selection>,
    /// `-force`.
    pub(crate) force: bool,
    /// Whether to warn of variables that are given but not declared.
    pub(crate) warn_undeclared: bool,
    /// Whether data sources are left alone: what they say is unknown then.
    pub(crate) skip_data_sources: bool,
    /// What answers in place of AWS.
    pub(crate) aws: Option<Arc<dyn External>>,
    /// What answers in place of every service.
    pub(crate) external: Option<Arc<dyn External>>,
}

/// Reads a template. Warnings and mistakes are printed.
pub(crate) fn read(template: &Path, variables: &Variables, directory: &Path) -> Result<Loaded, CliError> {
    read_with(template, variables, ReadOptions::default(), directory)
}

/// Reads the selected builds of a template. Warnings and mistakes are printed.
pub(crate) fn read_with(
    template: &Path,
    variables: &Variables,
    options: ReadOptions<'_>,
    directory: &Path,
) -> Result<Loaded, CliError> {
    let mut request = request_with(source(template)?, variables, directory, options.aws, options.external);
    if let Some(Selection { only, except }) = options.selection {
        request.only = names(only);
        request.except = names(except);
    }
    request.force = options.force;
    request.warn_undeclared = options.warn_undeclared;
    request.skip_data_sources = options.skip_data_sources;
    let loaded = read_request(&request, template)?;
    // Somebody who selects builds knows of the others.
    if !loaded.skipped.is_empty() && request.only.is_empty() && request.except.is_empty() {
        note(&format!("builders of other types, left alone: {}", loaded.skipped.join(", ")));
    }
    Ok(loaded)
}

/// Reads the template of a build. Warnings and mistakes are printed.
pub(crate) fn read_for_build(
    args: &Build,
    directory: &Path,
    aws: Option<Arc<dyn External>>,
) -> Result<Loaded, CliError> {
    let options = ReadOptions {
        selection: Some(&args.selection),
        force: args.force,
        warn_undeclared: args.warn_on_undeclared_var,
        aws,
        ..ReadOptions::default()
    };
    read_with(&args.template, &args.variables, options, directory)
}

/// Checks a template's syntax only. Warnings and mistakes are printed.
pub(crate) fn check_syntax(template: &Path, directory: &Path) -> Result<usize, CliError> {
    let request = request(source(template)?, &Variables::default(), directory);
    let warnings = print_problems(check_template_syntax(&request), template)?;
    print(&warnings, "warning");
    Ok(warnings.len())
}

/// Returns what is in a template. Mistakes are printed.
pub(crate) fn inspect(template: &Path, variables: &Variables, directory: &Path) -> Result<Inspection, CliError> {
    let request = request(source(template)?, variables, directory);
    print_problems(inspect_template(&request), template)
}

/// Evaluates what a template defines, and passes what evaluates expressions with it to `run`. Mistakes are printed.
pub(crate) fn console<R>(
    template: TemplateSource,
    variables: &Variables,
    directory: &Path,
    run: impl FnOnce(&dyn Session) -> R,
) -> Result<R, CliError> {
    let name = match &template {
        TemplateSource::Path(path) => path.clone(),
        TemplateSource::Text { name, .. } => name.into(),
    };
    print_problems(open_console(&request(template, variables, directory), run), &name)
}

/// Returns AWS, to be asked through the SDK.
#[cfg(feature = "aws")]
fn aws_itself() -> Option<Arc<dyn External>> {
    Some(Arc::new(crate::aws::AwsValues::default()))
}

#[cfg(not(feature = "aws"))]
fn aws_itself() -> Option<Arc<dyn External>> {
    None
}

/// The names of a list, without the blanks around them and without empty ones.
fn names(list: &[String]) -> Vec<String> {
    list.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn request(template: TemplateSource, variables: &Variables, directory: &Path) -> LoadRequest {
    request_with(template, variables, directory, None, None)
}

fn request_with(
    template: TemplateSource,
    variables: &Variables,
    directory: &Path,
    aws: Option<Arc<dyn External>>,
    external: Option<Arc<dyn External>>,
) -> LoadRequest {
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
    let services =
        || Arc::new(Services::new(context.environment.clone(), aws.or_else(aws_itself))) as Arc<dyn External>;
    let external = external.unwrap_or_else(services);
    LoadRequest {
        vars: variables.vars.clone(),
        var_files: variables.var_files.clone(),
        external: Some(external),
        ..LoadRequest::new(template, context)
    }
}

fn read_request(request: &LoadRequest, template: &Path) -> Result<Loaded, CliError> {
    let loaded = print_problems(load(request), template)?;
    print(&loaded.warnings, "warning");
    Ok(loaded)
}

/// Prints what is wrong with a template, if anything is.
fn print_problems<T>(read: Result<T, Problems>, template: &Path) -> Result<T, CliError> {
    read.map_err(|Problems { errors, warnings }| {
        print(&warnings, "warning");
        print(&errors, "mistake");
        let count = text::count(errors.len(), "mistake");
        CliError::wrong(format!("{} has {count}", name(template)))
    })
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

/// Prints what is wrong with an expression of a console.
pub(crate) fn print_about_expression(diagnostics: &[Diagnostic]) {
    print(diagnostics, "mistake");
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
