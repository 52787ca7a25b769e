//! The evaluation of expressions, with every mistake reported at its place.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use bakehouse_hcl as hcl;
use bakehouse_hcl::{
    Budget, Evaluator, Outside, Value,
    hcl_edit::{self, visit::Visit},
};

use super::{
    names::{Names, Scope, State},
    syntax::{Expression, ExpressionSyntax},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    external::External,
    source::{Location, SourceText},
    tree::{Node, SourceString},
};

/// The text that stands for one that a data source would give.
pub(super) const UNKNOWN: &str = "unknown";

/// The functions that ask something outside of this machine.
pub(super) const REMOTE_FUNCTIONS: [&str; 4] = ["vault", "consul_key", "aws_secretsmanager", "aws_secretsmanager_raw"];

/// What the whole template shares.
pub(super) struct Shared<'a> {
    pub(super) outside: &'a dyn Outside,
    pub(super) budget: Budget,
    pub(super) diagnostics: &'a Diagnostics,
    /// What data sources and [`REMOTE_FUNCTIONS`] ask; without it, their values are unknown.
    pub(super) external: Option<&'a dyn External>,
    /// Where values stand that depend on data sources that were not asked.
    pub(super) unknown: RefCell<Vec<Location>>,
    /// How many blocks were made or read for a build.
    pub(super) blocks: Cell<usize>,
    /// `build.PackerRunUUID`.
    pub(super) run_uuid: String,
}

/// How many blocks `dynamic` may make, and all builds may have together.
const MAX_BLOCKS: usize = 50_000;

/// Evaluates the expressions at one place of the template.
pub(super) struct Evaluation<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) names: &'a Names,
    /// `source` and `build`, where they can be used.
    pub(super) local: BTreeMap<&'static str, Value>,
    /// Whether this is for the defaults of variables: they can call `env`, and that is all.
    is_literal: bool,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, names: &'a Names) -> Self {
        Self { shared, names, local: BTreeMap::new(), is_literal: false }
    }

    /// Returns an evaluation for the defaults of variables: `shared` has the function `env`.
    pub(super) fn of_defaults(shared: &'a Shared<'a>, names: &'a Names) -> Self {
        Self { is_literal: true, ..Self::new(shared, names) }
    }

    /// Returns the same with `source` and perhaps `build`.
    pub(super) fn with(&self, local: BTreeMap<&'static str, Value>) -> Self {
        Self { local, ..*self }
    }

    /// Counts a block of a build. Returns false if there are too many, which is reported once.
    pub(super) fn count_block(&self, location: &Location) -> bool {
        let count = self.shared.blocks.get() + 1;
        self.shared.blocks.set(count);
        if count == MAX_BLOCKS + 1 {
            let message = format!("the builds have more than {MAX_BLOCKS} blocks together");
            let help = "Use shorter lists in `dynamic`, or fewer sources in a build.".to_owned();
            self.error(location, message, Some(help));
        }
        count <= MAX_BLOCKS
    }

    pub(super) fn error(&self, location: &Location, message: impl Into<String>, help: Option<String>) {
        self.shared.diagnostics.add(Diagnostic::error(location, message).maybe_help(help));
    }

    /// Returns the value of an expression. `None` only after an error was reported.
    pub(super) fn value(&self, expression: &Expression<'_>) -> Option<(Value, State)> {
        let state = self.state(expression)?;
        match self.evaluate(expression) {
            Ok(value) => Some((value, state)),
            Err(_) if state == State::Unknown => Some((UNKNOWN.into(), state)),
            Err(errors) => {
                self.report(expression, errors);
                None
            }
        }
    }

    /// Returns the value of a local, which may be [`State::Unsupported`] if nothing uses it.
    pub(super) fn local(&self, expression: &Expression<'_>) -> Option<(Value, State)> {
        if self.worst(expression) == State::Unsupported {
            return Some((Value::Null, State::Unsupported));
        }
        self.value(expression)
    }

    /// Returns the state of what an expression refers to; `None` if something of it has no value, which is reported.
    pub(super) fn state(&self, expression: &Expression<'_>) -> Option<State> {
        let worst = self.worst(expression);
        if worst < State::Unsupported {
            return Some(worst);
        }
        self.report_undefined(expression);
        for (path, location) in references(expression) {
            if self.names.state(&path) == Some(State::Unsupported) {
                let (message, help) = self.names.unsupported(&path);
                self.error(&location, message, Some(help));
            }
        }
        None
    }

    /// Whether the value of an expression depends on a data source that was not asked.
    pub(super) fn is_unknown(&self, expression: &Expression<'_>) -> bool {
        self.worst(expression) == State::Unknown
    }

    fn worst(&self, expression: &Expression<'_>) -> State {
        let references = references(expression).into_iter().filter(|(path, _)| !is_iterator(expression, path));
        let state = references.filter_map(|(path, _)| self.names.state(&path)).max().unwrap_or(State::Known);
        if state == State::Known && self.shared.external.is_none() && calls_remote_function(expression) {
            return State::Unknown;
        }
        state
    }

    /// Reports why an expression has no value: names that do not exist, or else what went wrong.
    pub(super) fn report(&self, expression: &Expression<'_>, errors: Vec<Failure>) {
        if !self.report_undefined(expression) {
            for Failure { location, message, help } in errors {
                self.error(&location, message, help);
            }
        }
    }

    /// Reports the names of an expression that do not exist. Returns false if there is none.
    fn report_undefined(&self, expression: &Expression<'_>) -> bool {
        let mut found = false;
        for (path, location) in references(expression) {
            if self.is_literal {
                found = true;
                let message = format!("`{}` cannot be used in the default of a variable", path.join("."));
                self.error(
                    &location,
                    message,
                    Some("Write a literal value, or env(\"NAME\"); or use a local.".to_owned()),
                );
                continue;
            }
            if is_iterator(expression, &path) || self.names.state(&path).is_some() {
                continue;
            }
            found = true;
            let (message, help) = self.names.undefined(&path);
            self.error(&location, message, Some(help));
        }
        found
    }

    /// Returns the value of an expression, or what is wrong. For JSON, several parts may be.
    fn evaluate(&self, expression: &Expression<'_>) -> Result<Value, Vec<Failure>> {
        let scope = Scope { names: self.names, local: &self.local, iterators: &expression.iterators };
        let evaluator = Evaluator::new(&scope, self.shared.outside, &self.shared.budget);
        let evaluator = if self.is_literal { evaluator.without_built_in_functions() } else { evaluator };
        match expression.syntax {
            ExpressionSyntax::Native(source, syntax) => {
                evaluator.evaluate(syntax).map_err(|error| vec![Failure::in_source(source, error)])
            }
            ExpressionSyntax::Json(node) => json_value(node, &evaluator),
        }
    }
}

/// Why an expression has no value.
pub(super) struct Failure {
    pub(super) location: Location,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Failure {
    pub(super) fn in_source(source: &std::sync::Arc<SourceText>, error: hcl::Error) -> Self {
        let hcl::Error { span, message, help } = error;
        Self { location: Location::new(source, span), message, help }
    }

    /// Of a template in a JSON string.
    fn in_string(text: &SourceString, error: hcl::Error) -> Self {
        let hcl::Error { span, message, help } = error;
        Self { location: text.part(span.start, span.end), message, help }
    }
}

/// Parses the template in a JSON string.
fn json_template(text: &SourceString) -> Result<hcl_edit::template::Template, Failure> {
    hcl::parse_template(&text.value).map_err(|error| Failure {
        location: text.part(error.span.start, error.span.end),
        message: format!("this template cannot be read: {}", error.message),
        help: error.help.or_else(|| Some("A string with ${ or %{ itself has $${ or %%{ for it.".to_owned())),
    })
}

fn json_value(node: &Node, evaluator: &Evaluator<'_>) -> Result<Value, Vec<Failure>> {
    Ok(match node {
        Node::Null(_) | Node::Invalid(_) => Value::Null,
        Node::Bool(bool) => Value::Bool(bool.value),
        Node::Number(number) => number
            .value
            .parse()
            .map(Value::Number)
            .map_err(|message| vec![Failure { location: number.location.clone(), message, help: None }])?,
        Node::String(text) => {
            let template = json_template(text).map_err(|failure| vec![failure])?;
            evaluator.evaluate_template(&template).map_err(|error| vec![Failure::in_string(text, error)])?
        }
        Node::List(list) => {
            let mut failures = Vec::new();
            let mut values = Vec::new();
            for element in &list.value {
                match json_value(element, evaluator) {
                    Ok(value) => values.push(value),
                    Err(more) => failures.extend(more),
                }
            }
            if !failures.is_empty() {
                return Err(failures);
            }
            Value::List(values)
        }
        Node::Map(map) => {
            let mut failures = Vec::new();
            let mut values = BTreeMap::new();
            for entry in &map.entries {
                let key = json_value(&Node::String(entry.key.clone()), evaluator);
                match (key, json_value(&entry.value, evaluator)) {
                    (Ok(key), Ok(value)) => {
                        let key = match key {
                            Value::String(key) | Value::Deferred(key) => key,
                            _ => entry.key.value.clone(),
                        };
                        values.insert(key, value);
                    }
                    (key, value) => failures.extend(key.err().into_iter().chain(value.err()).flatten()),
                }
            }
            if !failures.is_empty() {
                return Err(failures);
            }
            Value::Map(values)
        }
    })
}

/// Returns the names that an expression refers to, iterators of `dynamic` included.
pub(super) fn references(expression: &Expression<'_>) -> Vec<(Vec<String>, Location)> {
    match expression.syntax {
        ExpressionSyntax::Native(source, syntax) => {
            let found = hcl::references(syntax).into_iter();
            found.map(|found| (found.path, Location::new(source, found.span))).collect()
        }
        ExpressionSyntax::Json(node) => {
            let mut found = Vec::new();
            json_strings(node, &mut |text| {
                if let Ok(template) = hcl::parse_template(&text.value) {
                    let references = hcl::template_references(&template).into_iter();
                    found.extend(references.map(|found| (found.path, text.part(found.span.start, found.span.end))));
                }
            });
            found
        }
    }
}

fn json_strings(node: &Node, visit: &mut dyn FnMut(&SourceString)) {
    match node {
        // Most strings are no templates.
        Node::String(text) if text.value.contains("${") || text.value.contains("%{") => visit(text),
        Node::List(list) => list.value.iter().for_each(|element| json_strings(element, visit)),
        Node::Map(map) => {
            for entry in &map.entries {
                json_strings(&Node::String(entry.key.clone()), visit);
                json_strings(&entry.value, visit);
            }
        }
        _ => {}
    }
}

fn is_iterator(expression: &Expression<'_>, path: &[String]) -> bool {
    expression.iterators.iter().any(|(name, _)| path.first() == Some(name))
}

/// Whether an expression calls one of [`REMOTE_FUNCTIONS`].
fn calls_remote_function(expression: &Expression<'_>) -> bool {
    struct Finder(bool);
    impl Visit for Finder {
        fn visit_func_name(&mut self, name: &hcl_edit::expr::FuncName) {
            self.0 |= REMOTE_FUNCTIONS.contains(&name.name.as_str());
        }
    }
    let mut finder = Finder(false);
    match expression.syntax {
        ExpressionSyntax::Native(_, syntax) => finder.visit_expr(syntax),
        ExpressionSyntax::Json(node) => json_strings(node, &mut |text| {
            if let Ok(template) = hcl::parse_template(&text.value) {
                finder.visit_template(&template);
            }
        }),
    }
    finder.0
}
