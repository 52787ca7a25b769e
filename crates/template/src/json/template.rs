//! Reads a JSON template: its variables, and its builds as blocks.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    builds::{self, Builds},
    document::{self, Document},
    syntax,
    variables::{self, Raw},
};
use crate::{
    blocks::ParsedTemplate,
    diagnostic::Diagnostics,
    inputs::{Inputs, Usage},
    language::Language,
    request::LoadRequest,
    selection::Selection,
    tree::SourceString,
};

/// Checks the syntax of a template, and what stands at its root.
pub(crate) fn check_syntax(name: &str, text: &str, diagnostics: &Diagnostics) {
    if let Some(json) = syntax::parse(name, text, true, diagnostics) {
        document::read(json, diagnostics);
    }
}

/// A template whose variables are known.
pub(super) struct WithVariables {
    pub(super) document: Document,
    pub(super) variables: BTreeMap<String, String>,
    /// The variables that could not be read.
    pub(super) invalid: BTreeSet<String>,
    /// Values that must be masked.
    pub(super) sensitive: Vec<String>,
}

/// Reads a template up to the values of its variables. `None` only after an error was reported.
pub(super) fn read_variables(
    name: &str,
    text: &str,
    directory: &Path,
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
) -> Option<WithVariables> {
    let context = &request.context;
    let json = syntax::parse(name, text, true, diagnostics);
    // The variable files are read even if the template is not JSON, so that all errors are reported at once.
    let mut set = Raw::new();
    let before = diagnostics.len();
    for path in &request.var_files {
        variables::read_file(&context.working_directory.join(path), context, &mut set, diagnostics);
    }
    for (name, value) in &request.vars {
        set.insert(name.clone(), Some(SourceString::without_file(&format!("-var {name}"), value)));
    }
    let about_files = before..diagnostics.len();
    let document = document::read(json?, diagnostics)?;
    let hidden: Vec<&str> = document.sensitive.iter().map(|name| name.value.as_str()).collect();
    diagnostics.hide_files_that_set(about_files, &hidden);
    let mut raw = Raw::new();
    let mut required = Vec::new();
    if let Some(map) = &document.variables {
        variables::read_defaults(map, &mut raw, &mut required, diagnostics);
    }
    if request.warn_undeclared {
        variables::warn_undeclared(&set, &raw, diagnostics);
    }
    raw.extend(set);
    let (variables, invalid) = variables::resolve(&raw, &required, request, directory, usage, diagnostics);
    let sensitive = variables::sensitive(&document.sensitive, &variables, diagnostics);
    Some(WithVariables { document, variables, invalid, sensitive })
}

/// Reads a template. `None` only after an error was reported.
pub(crate) fn read(
    name: &str,
    text: &str,
    directory: &Path,
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
) -> Option<ParsedTemplate> {
    let found = read_variables(name, text, directory, request, usage, diagnostics)?;
    let WithVariables { document, variables, invalid, sensitive } = found;
    let inputs = Inputs {
        context: &request.context,
        template_dir: directory,
        language: Language::Json,
        variables: &variables,
        invalid: &invalid,
        external: request.external.as_deref(),
        usage,
        diagnostics,
    };
    let Builds { selected, skipped, provisioners } = builds::read(&document, &Selection::new(request), &inputs);
    Some(ParsedTemplate { builds: selected, provisioners, variables, invalid, sensitive, skipped, unknown: Vec::new() })
}
