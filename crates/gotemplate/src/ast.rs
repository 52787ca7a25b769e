//! The parsed template.

use crate::{span::Span, value::Value};

/// A part of a template, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Literal text, already trimmed.
    Text(String),
    /// `{{pipeline}}`; `span` includes the braces, and `trims` is whether either side has a trim marker.
    Action { pipeline: Pipeline, span: Span, trims: bool },
    /// `{{if}}`, `{{range}}`, `{{with}}`.
    Block { kind: BlockKind, pipeline: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    If,
    Range,
    With,
}

/// `$x := command | command`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pipeline {
    /// The variables that it sets; two only in `range`.
    pub(crate) variables: Vec<String>,
    /// Whether it declares them (`:=`) or assigns to them (`=`).
    pub(crate) declares: bool,
    pub(crate) commands: Vec<Command>,
    /// The span of the commands, without the variables.
    pub(crate) span: Span,
}

/// Operands separated by spaces; the first may be a function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
    pub(crate) span: Span,
}

/// A term with the fields that follow it without a space.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(crate) term: Term,
    pub(crate) fields: Vec<String>,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Literal(Value),
    /// `.`; with fields: `.A.B`.
    Dot,
    /// `$x`; the name without `$`, empty for `$` itself.
    Variable(String),
    Function(String),
    Parentheses(Box<Pipeline>),
}
