//! Evaluates a template.

use std::collections::BTreeMap;

use crate::{
    ast::{BlockKind, Command, Node, Operand, Pipeline, Term},
    builtins,
    error::RenderError,
    functions,
    span::Span,
    value::Value,
};

/// How many steps one evaluation may take; it bounds a `range` over a huge number.
const MAX_STEPS: usize = 200_000;

/// What a template may use besides the built-in functions.
pub trait Scope {
    /// The value of `.` and `$` at the start.
    fn data(&self) -> &Value;

    /// The value of `.field` if [`Scope::data`] is a map without it: nil, unless the implementation rejects it.
    ///
    /// # Errors
    /// Why that field must not be used.
    fn missing_field(&self, field: &str) -> Result<Value, String> {
        let _ = field;
        Ok(Value::Nil)
    }

    /// Calls a function that is not built in. A piped value is the last argument.
    ///
    /// # Errors
    /// [`CallError`].
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, CallError>;
}

/// Why a function returned no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no function of that name.
    #[error("there is no such function")]
    Unknown,
    /// The arguments were wrong, or the function failed.
    #[error("{0}")]
    Failed(String),
}

pub(crate) struct Evaluator<'a> {
    scope: &'a dyn Scope,
    out: String,
    variables: Vec<(String, Value)>,
    steps: usize,
}

/// The value of `.`: `None` for the scope's data, or a value that `range` or `with` has set.
type Dot<'v> = Option<&'v Value>;

impl<'a> Evaluator<'a> {
    pub(crate) fn new(scope: &'a dyn Scope) -> Self {
        Self { scope, out: String::new(), variables: Vec::new(), steps: 0 }
    }

    pub(crate) fn render(mut self, nodes: &[Node]) -> Result<String, RenderError> {
        self.nodes(nodes, None)?;
        Ok(self.out)
    }

    fn step(&mut self, span: Span) -> Result<(), RenderError> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.out.len() > functions::MAX_OUTPUT {
            return Err(RenderError { message: "the result is too large".to_owned(), span });
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: Dot<'_>) -> Result<(), RenderError> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Action { pipeline, .. } => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out.push_str(&value.to_string());
                    } else {
                        self.set(pipeline, vec![value]);
                    }
                }
                Node::Block { kind, pipeline, body, otherwise } => {
                    let visible = self.variables.len();
                    self.block(*kind, pipeline, body, otherwise, dot)?;
                    self.variables.truncate(visible);
                }
            }
        }
        Ok(())
    }

    /// Evaluates nodes and drops the variables that they declare.
    fn scoped(&mut self, nodes: &[Node], dot: Dot<'_>) -> Result<(), RenderError> {
        let visible = self.variables.len();
        self.nodes(nodes, dot)?;
        self.variables.truncate(visible);
        Ok(())
    }

    fn block(
        &mut self,
        kind: BlockKind,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: Dot<'_>,
    ) -> Result<(), RenderError> {
        let value = self.pipeline(pipeline, dot)?;
        if kind == BlockKind::Range {
            return self.range(&value, pipeline, body, otherwise, dot);
        }
        let truthy = value.is_truthy();
        if !pipeline.variables.is_empty() {
            self.set(pipeline, vec![value.clone()]);
        }
        match (truthy, kind) {
            (false, _) => self.scoped(otherwise, dot),
            (true, BlockKind::With) => self.scoped(body, Some(&value)),
            (true, _) => self.scoped(body, dot),
        }
    }

    fn range(
        &mut self,
        over: &Value,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: Dot<'_>,
    ) -> Result<(), RenderError> {
        let items: Box<dyn Iterator<Item = (Value, Value)> + '_> = match over {
            Value::Nil => Box::new(std::iter::empty()),
            Value::List(list) => Box::new((0..).map(Value::Int).zip(list.iter().cloned())),
            Value::Map(map) => Box::new(map.iter().map(|(k, v)| (Value::from(k.as_str()), v.clone()))),
            Value::Int(count) => Box::new((0..*count).map(|i| (Value::Int(i), Value::Int(i)))),
            other => {
                let message = format!("range cannot iterate over {}", other.kind());
                return Err(RenderError { message, span: pipeline.span });
            }
        };
        let mut empty = true;
        for (key, value) in items {
            empty = false;
            self.step(pipeline.span)?;
            let visible = self.variables.len();
            match pipeline.variables.len() {
                0 => {}
                1 => self.set(pipeline, vec![value.clone()]),
                _ => self.set(pipeline, vec![key, value.clone()]),
            }
            self.nodes(body, Some(&value))?;
            self.variables.truncate(visible);
        }
        if empty { self.scoped(otherwise, dot) } else { Ok(()) }
    }

    fn set(&mut self, pipeline: &Pipeline, values: Vec<Value>) {
        for (name, value) in pipeline.variables.iter().zip(values) {
            let old = self.variables.iter_mut().rev().find(|(old, _)| old == name);
            match old {
                Some((_, old)) if !pipeline.declares => *old = value,
                _ => self.variables.push((name.clone(), value)),
            }
        }
    }

    pub(crate) fn pipeline(&mut self, pipeline: &Pipeline, dot: Dot<'_>) -> Result<Value, RenderError> {
        self.commands(&pipeline.commands, dot)
    }

    pub(crate) fn commands(&mut self, commands: &[Command], dot: Dot<'_>) -> Result<Value, RenderError> {
        let mut piped = None;
        for command in commands {
            self.step(command.span)?;
            piped = Some(self.command(command, piped, dot)?);
        }
        Ok(piped.unwrap_or_default())
    }

    fn command(&mut self, command: &Command, piped: Option<Value>, dot: Dot<'_>) -> Result<Value, RenderError> {
        match command.operands.split_first() {
            Some((Operand { term: Term::Function(name), fields, .. }, arguments)) if fields.is_empty() => {
                self.call(name, arguments, piped, dot, command.span)
            }
            Some((operand, _)) => self.operand(operand, dot),
            None => Ok(Value::Nil),
        }
    }

    fn call(
        &mut self,
        name: &str,
        operands: &[Operand],
        piped: Option<Value>,
        dot: Dot<'_>,
        span: Span,
    ) -> Result<Value, RenderError> {
        let fail = |message: String| RenderError { message: format!("{name}: {message}"), span };
        if matches!(name, "and" | "or") {
            // The other arguments are not evaluated once the result is known, as in Go since 1.18.
            let mut last = None;
            for operand in operands {
                let value = self.operand(operand, dot)?;
                let decided = value.is_truthy() == (name == "or");
                last = Some(value);
                if decided {
                    return Ok(last.unwrap_or_default());
                }
            }
            return piped.or(last).ok_or_else(|| fail("at least one value is needed".to_owned()));
        }
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(piped);
        let value = match builtins::call(name, &arguments) {
            Some(result) => result.map_err(fail)?,
            None => self.scope.call(name, &arguments).map_err(|error| match error {
                CallError::Unknown => RenderError { message: format!("there is no function `{name}` here"), span },
                CallError::Failed(why) => fail(why),
            })?,
        };
        match &value {
            Value::String(text) if text.len() > functions::MAX_OUTPUT => {
                Err(fail("the result is too large".to_owned()))
            }
            _ => Ok(value),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: Dot<'_>) -> Result<Value, RenderError> {
        let span = operand.span;
        self.step(span)?;
        let mut fields = operand.fields.as_slice();
        let mut value = match &operand.term {
            Term::Literal(value) => value.clone(),
            Term::Dot => match dot {
                Some(value) => value.clone(),
                None => self.data(&mut fields, span)?,
            },
            Term::Variable(name) if name.is_empty() => self.data(&mut fields, span)?,
            Term::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(set, _)| set == name)
                .map(|(_, value)| value.clone())
                .unwrap_or_default(),
            Term::Function(name) => self.call(name, &[], None, dot, span)?,
            Term::Parentheses(pipeline) => self.pipeline(pipeline, dot)?,
        };
        for field in fields {
            value = match value {
                Value::Nil => Value::Nil,
                Value::Map(mut map) => map.remove(field).unwrap_or_default(),
                other => {
                    let message = format!("{} has no field .{field}", other.kind());
                    return Err(RenderError { message, span });
                }
            };
        }
        Ok(value)
    }

    /// Returns the scope's data, or its first field, which it then takes off `fields`.
    fn data(&self, fields: &mut &[String], span: Span) -> Result<Value, RenderError> {
        let data = self.scope.data();
        let (Some((first, rest)), Value::Map(_) | Value::Nil) = (fields.split_first(), data) else {
            return Ok(data.clone());
        };
        *fields = rest;
        let none = BTreeMap::new();
        let map = if let Value::Map(map) = data { map } else { &none };
        match map.get(first) {
            Some(value) => Ok(value.clone()),
            None => self.scope.missing_field(first).map_err(|message| RenderError { message, span }),
        }
    }
}
