//! Constant folding: calls whose arguments are known are replaced by their values, so that the template that is left
//! can be rendered later and elsewhere, without the variables and the environment that its reader had.

use crate::{
    ast::{Command, Node, Operand, Pipeline, Term},
    builtins::BUILTINS,
    error::RenderError,
    eval::{Evaluator, Scope},
    lex::WHITESPACE,
    literal::quote,
    span::Span,
    template::Template,
    value::Value,
};

/// What can be evaluated in advance.
pub trait Constants: Scope {
    /// Whether this function may be called in advance, if all its arguments are known.
    fn is_constant(&self, function: &str) -> bool;

    /// The field that replaces the call of this function with this argument, as `.SourceAMI` replaces `build
    /// "SourceAMI"`.
    fn as_field(&self, function: &str, argument: &str) -> Option<String>;
}

impl Template {
    /// Returns the template's text with every call that is known replaced by its value. An action that is known as a
    /// whole becomes literal text, so that `{{` in its value is rendered in the next round, as Packer does.
    ///
    /// # Errors
    /// A call that is known but fails.
    pub fn fold(&self, constants: &dyn Constants) -> Result<String, RenderError> {
        let mut folder = Folder { constants, changes: Vec::new() };
        folder.nodes(self.nodes())?;
        let mut text = self.text().to_owned();
        // From the back, so that the spans of earlier changes stay valid.
        folder.changes.sort_by_key(|(span, _)| *span);
        for (span, new) in folder.changes.iter().rev() {
            text.replace_range(span.range(), new);
        }
        Ok(text)
    }
}

struct Folder<'a> {
    constants: &'a dyn Constants,
    changes: Vec<(Span, String)>,
}

impl Folder<'_> {
    fn nodes(&mut self, nodes: &[Node]) -> Result<(), RenderError> {
        for node in nodes {
            match node {
                Node::Text(_) => {}
                Node::Action { pipeline, span, trims } => {
                    if !self.is_pipeline_known(pipeline) {
                        self.pipeline(pipeline)?;
                        continue;
                    }
                    let value = self.value(&pipeline.commands)?.to_string();
                    // As literal text, spaces of the value would be removed by a trim marker here or beside it.
                    if *trims || value.starts_with(WHITESPACE) || value.ends_with(WHITESPACE) {
                        self.changes.push((pipeline.span, quote(&value)));
                    } else {
                        self.changes.push((*span, value));
                    }
                }
                Node::Block { pipeline, body, otherwise, .. } => {
                    self.pipeline(pipeline)?;
                    self.nodes(body)?;
                    self.nodes(otherwise)?;
                }
            }
        }
        Ok(())
    }

    fn is_pipeline_known(&self, pipeline: &Pipeline) -> bool {
        pipeline.variables.is_empty() && pipeline.commands.iter().all(|command| self.is_command_known(command))
    }

    fn is_command_known(&self, command: &Command) -> bool {
        command.operands.iter().all(|operand| self.is_operand_known(operand))
    }

    fn is_operand_known(&self, operand: &Operand) -> bool {
        match &operand.term {
            Term::Literal(_) => true,
            Term::Dot | Term::Variable(_) => false,
            Term::Function(name) => BUILTINS.contains(&name.as_str()) || self.constants.is_constant(name),
            Term::Parentheses(pipeline) => self.is_pipeline_known(pipeline),
        }
    }

    fn value(&self, commands: &[Command]) -> Result<Value, RenderError> {
        Evaluator::new(self.constants).commands(commands, None)
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<(), RenderError> {
        let known = pipeline.commands.iter().take_while(|command| self.is_command_known(command)).count();
        let (front, rest) = pipeline.commands.split_at(known);
        if let [first, ..] = front
            && let Some(last) = front.last()
            && let Some(literal) = literal(&self.value(front)?)
        {
            self.changes.push((first.span.to(last.span), literal));
        }
        for command in rest {
            self.command(command)?;
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), RenderError> {
        if let [Operand { term: Term::Function(name), .. }, argument] = command.operands.as_slice()
            && let Term::Literal(Value::String(text)) = &argument.term
            && let Some(field) = self.constants.as_field(name, text)
        {
            self.changes.push((command.span, format!(".{field}")));
            return Ok(());
        }
        for (i, operand) in command.operands.iter().enumerate() {
            match &operand.term {
                Term::Parentheses(pipeline) => self.pipeline(pipeline)?,
                Term::Function(_) if i > 0 && operand.fields.is_empty() && self.is_operand_known(operand) => {
                    let call = Command { operands: vec![operand.clone()], span: operand.span };
                    if let Some(literal) = literal(&self.value(&[call])?) {
                        self.changes.push((operand.span, literal));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns the value as a literal of a template; `None` for types without literals.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quote(text)),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Nil | Value::Map(_) | Value::List(_) => None,
    }
}
