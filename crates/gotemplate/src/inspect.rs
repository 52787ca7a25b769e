//! The fields and functions that a template uses, so that a caller can check them before rendering.

use crate::{
    ast::{BlockKind, Command, Node, Operand, Pipeline, Term},
    builtins::BUILTINS,
    span::Span,
    value::Value,
};

/// A field of the data that the template reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldUse {
    /// `["A", "B"]` for `.A.B`.
    pub path: Vec<String>,
    /// Where it is in the template.
    pub span: Span,
}

/// A call of a function that is not built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUse {
    /// The function's name.
    pub name: String,
    /// Where the name is in the template.
    pub span: Span,
    /// The arguments after the name: `None` for one that is not a literal. A piped value is not included.
    pub arguments: Vec<Option<Value>>,
    /// Where each of them is in the template.
    pub argument_spans: Vec<Span>,
}

#[derive(Default)]
pub(crate) struct Uses {
    pub(crate) fields: Vec<FieldUse>,
    pub(crate) functions: Vec<FunctionUse>,
}

impl Uses {
    pub(crate) fn of(nodes: &[Node]) -> Self {
        let mut uses = Self::default();
        uses.nodes(nodes, true);
        uses
    }

    /// `at_root`: whether `.` is still the scope's data.
    fn nodes(&mut self, nodes: &[Node], at_root: bool) {
        for node in nodes {
            match node {
                Node::Text(_) => {}
                Node::Action { pipeline, .. } => self.pipeline(pipeline, at_root),
                Node::Block { kind, pipeline, body, otherwise } => {
                    self.pipeline(pipeline, at_root);
                    self.nodes(body, at_root && *kind == BlockKind::If);
                    self.nodes(otherwise, at_root);
                }
            }
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, at_root: bool) {
        for command in &pipeline.commands {
            self.command(command, at_root);
        }
    }

    fn command(&mut self, command: &Command, at_root: bool) {
        for (i, operand) in command.operands.iter().enumerate() {
            let arguments = if i == 0 { &command.operands[1..] } else { &[] };
            self.operand(operand, arguments, at_root);
        }
    }

    fn operand(&mut self, operand: &Operand, arguments: &[Operand], at_root: bool) {
        let data = match &operand.term {
            Term::Dot => at_root,
            Term::Variable(name) => name.is_empty(),
            _ => false,
        };
        if data && !operand.fields.is_empty() {
            self.fields.push(FieldUse { path: operand.fields.clone(), span: operand.span });
        }
        match &operand.term {
            Term::Parentheses(pipeline) => self.pipeline(pipeline, at_root),
            Term::Function(name) if !BUILTINS.contains(&name.as_str()) => self.functions.push(FunctionUse {
                name: name.clone(),
                span: Span::new(operand.span.start, operand.span.start + name.len()),
                arguments: arguments.iter().map(literal).collect(),
                argument_spans: arguments.iter().map(|argument| argument.span).collect(),
            }),
            _ => {}
        }
    }
}

fn literal(operand: &Operand) -> Option<Value> {
    match &operand.term {
        Term::Literal(value) => Some(value.clone()),
        _ => None,
    }
}
