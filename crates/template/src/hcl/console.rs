//! Evaluates single expressions with a template's variables, locals and data sources.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use bakehouse_gotemplate::quote;
use bakehouse_hcl as hcl;
use bakehouse_hcl::{Budget, Value};
use bakehouse_protocol::mask::Mask;

use super::{
    evaluation::{Evaluation, Shared},
    names::{Names, State},
    syntax::{Expression, ExpressionSyntax, Iterators},
    template,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    inputs::Usage,
    request::LoadRequest,
    session::{Evaluated, NAME, Session},
    source::{Location, SourceText},
};

/// Passes what evaluates expressions to `run`. `None` only after an error was reported.
pub(crate) fn console<R>(
    request: &LoadRequest,
    usage: &Usage,
    diagnostics: &Diagnostics,
    run: impl FnOnce(&dyn Session) -> R,
) -> Option<R> {
    template::evaluate(request, usage, diagnostics, |defined| {
        let console = Console { shared: defined.shared, names: defined.names, sensitive: &defined.sensitive, usage };
        (diagnostics.error_count() == 0).then(|| run(&console))
    })
}

struct Console<'a> {
    shared: &'a Shared<'a>,
    names: &'a Names,
    sensitive: &'a [String],
    usage: &'a Usage,
}

impl Console<'_> {
    /// Returns the values to hide; an expression may add some.
    fn sensitive(&self) -> Vec<String> {
        [self.sensitive.to_vec(), self.usage.secrets()].concat()
    }

    /// Returns a line for each value of a group, such as `var`. Values are hidden before they are quoted, as a
    /// sensitive one may have characters that quotes change.
    fn lines(&self, root: &str, mask: &Mask) -> String {
        let line = |(name, value)| format!("{root}.{name}: {}\n", quote(&mask.apply(&text(value))));
        self.names.group(root).map(line).collect()
    }
}

impl Session for Console<'_> {
    fn evaluate(&self, expression: &str) -> Evaluated {
        let source = Arc::new(SourceText::new(NAME, expression));
        let diagnostics = Diagnostics::default();
        let syntax = match hcl::parse_expression(expression) {
            Ok(syntax) => syntax,
            Err(error) => {
                let location = Location::new(&source, error.span);
                let message = format!("this is not an expression of HCL: {}", error.message);
                diagnostics.add(Diagnostic::error(&location, message).maybe_help(error.help));
                return Evaluated::hiding(None, diagnostics, &self.sensitive());
            }
        };
        // What limits the work of a whole template limits that of one expression.
        let shared = Shared {
            outside: self.shared.outside,
            budget: Budget::default(),
            diagnostics: &diagnostics,
            external: self.shared.external,
            unknown: RefCell::default(),
            blocks: Cell::default(),
            run_uuid: self.shared.run_uuid.clone(),
        };
        let expression =
            Expression { syntax: ExpressionSyntax::Native(&source, &syntax), iterators: Iterators::default() };
        let value = Evaluation::new(&shared, self.names).value(&expression);
        let value = value.map(|(value, state)| if state == State::Unknown { UNKNOWN.to_owned() } else { text(&value) });
        Evaluated::hiding(value, diagnostics, &self.sensitive())
    }

    fn variables(&self) -> String {
        let mask = Mask::new(&self.sensitive());
        let [variables, locals] = ["var", "local"].map(|root| self.lines(root, &mask));
        format!("> input-variables:\n\n{variables}\n> local-variables:\n\n{locals}")
    }
}

/// What Packer writes for a value that is not known.
const UNKNOWN: &str = "<unknown>";

/// Returns a value as Packer's console writes it: a text as it is, a list or a map over several lines.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) | Value::Deferred(text) => text.clone(),
        other => nested(other, ""),
    }
}

/// Returns a value within others. `margin` is in front of each of its lines but the first.
fn nested(value: &Value, margin: &str) -> String {
    let inner = format!("{margin}  ");
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) | Value::Deferred(text) => quote(text),
        Value::List(items) if items.is_empty() => "[]".to_owned(),
        Value::Map(items) if items.is_empty() => "{}".to_owned(),
        Value::List(items) => {
            let lines: String = items.iter().map(|item| format!("{inner}{},\n", nested(item, &inner))).collect();
            format!("[\n{lines}{margin}]")
        }
        Value::Map(items) => {
            let line = |(key, item): (&String, &Value)| format!("{inner}{} = {}\n", quote(key), nested(item, &inner));
            let lines: String = items.iter().map(line).collect();
            format!("{{\n{lines}{margin}}}")
        }
    }
}
