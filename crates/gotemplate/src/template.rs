//! A parsed template.

use crate::{
    ast::{Node, Term},
    error::{ParseError, RenderError},
    eval::{Evaluator, Scope},
    inspect::{FieldUse, FunctionUse, Uses},
    parse,
    span::Span,
};

/// How many times [`render_until_stable`] renders at most. Packer has no limit and can hang.
pub const MAX_ROUNDS: usize = 16;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Parses a template. Whether its functions and fields exist is not checked: see [`Template::functions`].
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { text: text.to_owned(), nodes: parse::parse(text)? })
    }

    /// Returns the text that it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Renders it.
    ///
    /// # Errors
    /// What could not be rendered, and where it is in the template.
    pub fn render(&self, scope: &dyn Scope) -> Result<String, RenderError> {
        Evaluator::new(scope).render(&self.nodes)
    }

    /// Returns the fields of the scope's data that it reads, in order. Fields of values that `range` and `with` set are
    /// not included.
    pub fn fields(&self) -> Vec<FieldUse> {
        Uses::of(&self.nodes).fields
    }

    /// Returns its calls of functions that are not built in, in order.
    pub fn functions(&self) -> Vec<FunctionUse> {
        Uses::of(&self.nodes).functions
    }

    /// Makes actions such as `{{.Name}}` and `{{ .Name }}` literal text, as Packer does in the values of variables.
    pub fn keep_fields(&mut self) {
        for node in &mut self.nodes {
            if let Some(span) = lone_field(node)
                && let Some(text) = self.text.get(span.range())
            {
                *node = Node::Text(text.to_owned());
            }
        }
    }
}

fn lone_field(node: &Node) -> Option<Span> {
    let Node::Action { pipeline, span, trims: false } = node else {
        return None;
    };
    let [command] = pipeline.commands.as_slice() else {
        return None;
    };
    let [operand] = command.operands.as_slice() else {
        return None;
    };
    let lone = pipeline.variables.is_empty() && operand.term == Term::Dot && operand.fields.len() == 1;
    lone.then_some(*span)
}

/// Why rendering did not reach a stable text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnstableError {
    /// The text is not a template, at first or after a round.
    #[error("cannot read the template \"{text}\": {error}")]
    Parse {
        /// The text in that round.
        text: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// The text cannot be rendered.
    #[error("cannot render \"{text}\": {error}")]
    Render {
        /// The text in that round.
        text: String,
        /// What is wrong.
        error: RenderError,
    },
    /// The text was still changing after the last round.
    #[error("\"{text}\" is still changing after {MAX_ROUNDS} renderings: it produces itself")]
    NeverStable {
        /// The original text.
        text: String,
    },
}

/// Renders repeatedly until nothing changes, as Packer does: the value of a field may itself be a template.
///
/// # Errors
/// [`UnstableError`].
pub fn render_until_stable(text: &str, scope: &dyn Scope) -> Result<String, UnstableError> {
    let mut now = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        let template = Template::parse(&now).map_err(|error| UnstableError::Parse { text: now.clone(), error })?;
        let next = template.render(scope).map_err(|error| UnstableError::Render { text: now.clone(), error })?;
        if next == now {
            return Ok(now);
        }
        now = next;
    }
    Err(UnstableError::NeverStable { text: text.to_owned() })
}
