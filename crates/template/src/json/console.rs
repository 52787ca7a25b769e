//! Renders single texts with a template's variables.

use bakehouse_protocol::mask::Mask;

use super::template::{self, WithVariables};
use crate::{
    diagnostic::Diagnostics,
    functions::Section,
    inputs::Usage,
    renderer::Renderer,
    request::{LoadRequest, TemplateText},
    session::{Evaluated, NAME, Session},
    tree::SourceString,
};

/// Passes what renders texts to `run`. `None` only after an error was reported.
pub(crate) fn console<R>(
    template: &TemplateText,
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
    run: impl FnOnce(&dyn Session) -> R,
) -> Option<R> {
    let found = template::read_variables(template, request, usage, diagnostics)?;
    (diagnostics.error_count() == 0).then(|| run(&Console { template, found, request, usage }))
}

struct Console<'a> {
    template: &'a TemplateText,
    found: WithVariables,
    request: &'a LoadRequest,
    usage: &'a Usage,
}

impl Console<'_> {
    /// Returns the values to hide; an expression may add some.
    fn sensitive(&self) -> Vec<String> {
        [self.found.sensitive.clone(), self.usage.secrets()].concat()
    }
}

impl Session for Console<'_> {
    fn evaluate(&self, expression: &str) -> Evaluated {
        let diagnostics = Diagnostics::default();
        let inputs = self.found.inputs(self.template, self.request, self.usage, &diagnostics);
        let renderer = Renderer { inputs, section: Section::Builder, build: None };
        let text = renderer.render(&SourceString::without_file(NAME, expression));
        Evaluated::hiding(text, diagnostics, &self.sensitive())
    }

    fn variables(&self) -> String {
        let lines: String = self.found.variables.iter().map(|(name, value)| format!("{name}: {value},\n")).collect();
        Mask::new(&self.sensitive()).apply(&format!("\n{lines}")).into_owned()
    }
}
