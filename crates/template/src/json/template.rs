//! Reads a JSON template: its variables, and its builds as blocks.

use std::collections::{BTreeMap, BTreeSet};

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
    request::{LoadRequest, TemplateText},
    selection::Selection,
};

/// Checks the syntax of a template, and what stands at its root.
pub(crate) fn check_syntax(template: &TemplateText, diagnostics: &Diagnostics) {
    if let Some(json) = syntax::parse(&template.name, &template.text, true, diagnostics) {
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

impl WithVariables {
    /// Returns what the values of the template are rendered with.
    pub(super) fn inputs<'a>(
        &'a self,
        template: &'a TemplateText,
        request: &'a LoadRequest,
        usage: &'a Usage,
        diagnostics: &'a Diagnostics,
    ) -> Inputs<'a> {
        Inputs {
            context: &request.context,
            template_dir: &template.directory,
            language: Language::Json,
            variables: &self.variables,
            invalid: &self.invalid,
            external: request.external.as_deref(),
            usage,
            diagnostics,
        }
    }
}

/// Reads a template up to the values of its variables. `None` only after an error was reported.
pub(super) fn read_variables(
    template: &TemplateText,
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
) -> Option<WithVariables> {
    let json = syntax::parse(&template.name, &template.text, true, diagnostics);
    // The variable files are read even if the template is not JSON, so that all errors are reported at once.
    let before = diagnostics.len();
    let given = variables::given(request, diagnostics);
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
        variables::warn_undeclared(&given, &raw, diagnostics);
    }
    raw.extend(given);
    let (variables, invalid) = variables::resolve(&raw, &required, request, &template.directory, usage, diagnostics);
    let sensitive = variables::sensitive(&document.sensitive, &variables, diagnostics);
    Some(WithVariables { document, variables, invalid, sensitive })
}

/// Reads a template. `None` only after an error was reported.
pub(crate) fn read(
    template: &TemplateText,
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
) -> Option<ParsedTemplate> {
    let found = read_variables(template, request, usage, diagnostics)?;
    let inputs = found.inputs(template, request, usage, diagnostics);
    let Builds { selected, skipped, provisioners } = builds::read(&found.document, &Selection::new(request), &inputs);
    let WithVariables { variables, invalid, sensitive, .. } = found;
    Some(ParsedTemplate { builds: selected, provisioners, variables, invalid, sensitive, skipped, unknown: Vec::new() })
}
