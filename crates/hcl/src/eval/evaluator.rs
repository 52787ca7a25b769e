//! What an evaluation is given.

use std::{borrow::Cow, ops::Range};

use hcl_edit::{expr::Expression, template::Template};

use crate::{
    budget::{Budget, MAX_VALUE_DEPTH},
    error::{Error, Fault},
    scope::{Outside, Scope},
    value::Value,
};

/// Evaluates expressions.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    pub(super) scope: &'a dyn Scope,
    pub(super) outside: &'a dyn Outside,
    pub(super) budget: &'a Budget,
    /// Whether the functions of [`functions`](crate::functions) can be called.
    pub(super) built_in: bool,
    /// Whether this is within a file of `templatefile`, where it can't be called again.
    pub(super) in_file: bool,
}

impl<'a> Evaluator<'a> {
    /// Returns an evaluator for these names.
    pub fn new(scope: &'a dyn Scope, outside: &'a dyn Outside, budget: &'a Budget) -> Self {
        Self { scope, outside, budget, built_in: true, in_file: false }
    }

    /// Allows only the functions of [`Outside::call`], as in the defaults of variables.
    #[must_use]
    pub fn without_built_in_functions(mut self) -> Self {
        self.built_in = false;
        self
    }

    /// Returns the value of an expression.
    ///
    /// # Errors
    /// The part of the expression that has no value, or that it takes more than the budget has left.
    pub fn evaluate(&self, expression: &Expression) -> Result<Value, Error> {
        let value = self.expression(expression)?;
        self.finished(value, crate::span::of(expression))
    }

    /// Returns the value of a template: a text or, if it is a single `${ }`, the value of that.
    ///
    /// # Errors
    /// Those of [`evaluate`](Self::evaluate).
    pub fn evaluate_template(&self, template: &Template) -> Result<Value, Error> {
        let value = self.template(template, &(0..0))?;
        self.finished(Cow::Owned(value), crate::span::of(template))
    }

    fn finished(&self, value: Cow<'a, Value>, span: Range<usize>) -> Result<Value, Error> {
        self.budget.spend_value(&value).map_err(|fault| fault.at(span.clone()))?;
        if is_deeper(&value, MAX_VALUE_DEPTH) {
            let message = format!("the value is a list or a map of more than {MAX_VALUE_DEPTH} levels");
            return Err(Fault::new(message).at(span));
        }
        Ok(value.into_owned())
    }
}

/// Whether lists and maps are nested deeper than so many levels.
fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::List(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Map(items) => levels == 0 || items.values().any(|item| is_deeper(item, levels - 1)),
        _ => false,
    }
}
