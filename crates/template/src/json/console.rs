//! Renders single texts with a template's variables.

use std::path::Path;

use super::template::{self, WithVariables};
use crate::{
    diagnostic::Diagnostics,
    functions::Section,
    inputs::{Inputs, Usage},
    language::Language,
    renderer::Renderer,
    request::LoadRequest,
    session::{Evaluated, NAME, Session},
    tree::SourceString,
};

/// Passes what renders texts to `run`. `None` only after an error was reported.
pub(crate) fn console<R>(
    name: &str,
    text: &str,
    directory: &Path,
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
    run: impl FnOnce(&dyn Session) -> R,
) -> Option<R> {
    let found = template::read_variables(name, text, directory, request, usage, diagnostics)?;
    (diagnostics.error_count() == 0).then(|| run(&Console { found, directory, request, usage }))
}

struct Console<'a> {
    found: WithVariables,
    directory: &'a Path,
    request: &'a LoadRequest,
    usage: &'a Usage,
}

impl Console<'_> {
    fn sensitive(&self) -> Vec<String> {
        [self.found.sensitive.clone(), self.usage.secrets()].concat()
    }
}

impl Session for Console<'_> {
    fn evaluate(&self, expression: &str) -> Evaluated {
        let diagnostics = Diagnostics::default();
        let inputs = Inputs {
            context: &self.request.context,
            template_dir: self.directory,
            language: Language::Json,
            variables: &self.found.variables,
            invalid: &self.found.invalid,
            external: self.request.external.as_deref(),
            usage: self.usage,
            diagnostics: &diagnostics,
        };
        let renderer = Renderer { inputs, section: Section::Builder, build: None };
        let text = renderer.render(&SourceString::without_file(NAME, expression));
        Evaluated::hiding(text, diagnostics, &self.sensitive())
    }

    fn variables(&self) -> String {
        let lines: String = self.found.variables.iter().map(|(name, value)| format!("{name}: {value},\n")).collect();
        let all = Evaluated::hiding(Some(format!("\n{lines}")), Diagnostics::default(), &self.sensitive());
        all.text.unwrap_or_default()
    }
}
