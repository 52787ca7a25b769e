//! A parsed template.

use crate::{
    ast::{Node, Term},
    error::{ParseError, RenderError},
    eval::{Evaluator, Scope},
    inspect::{FieldUse, FunctionUse, Uses},
    parse,
    span::Span,
};

/// How often [`render_until_stable`] renders at most. Packer has no limit and can hang here.
pub const MAX_ROUNDS: usize = 16;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Parses the text. Whether its functions and fields exist is not checked here: see [`Template::functions`].
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { text: text.to_owned(), nodes: parse::parse(text)? })
    }

    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Renders it.
    ///
    /// # Errors
    /// What could not be rendered, and where it stands in the template.
    pub fn render(&self, scope: &dyn Scope) -> Result<String, RenderError> {
        Evaluator::new(scope).render(&self.nodes)
    }

    /// Every field of the data that it reads, in order. Fields of what `range` and `with` set are not among them.
    pub fn fields(&self) -> Vec<FieldUse> {
        Uses::of(&self.nodes).fields
    }

    /// Every call of a function that is no built-in, in order.
    pub fn functions(&self) -> Vec<FunctionUse> {
        Uses::of(&self.nodes).functions
    }

    /// Whether anything is left to render: there is an action in it.
    pub fn is_plain(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Text(_)))
    }

    /// Takes `{{.Name}}` and `{{ .Name }}` for plain text: Packer lets them through variables' values.
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

/// Why text did not become stable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnstableError {
    /// It is no template, at first or after a round.
    #[error("cannot read the template \"{text}\": {error}")]
    Parse {
        /// The text of that round.
        text: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// It cannot be rendered.
    #[error("cannot render \"{text}\": {error}")]
    Render {
        /// The text of that round.
        text: String,
        /// Why.
        error: RenderError,
    },
    /// It went on changing.
    #[error("\"{text}\" is still changing after {MAX_ROUNDS} renderings: it produces itself")]
    NeverStable {
        /// The text as given.
        text: String,
    },
}

/// Renders again and again until nothing changes, as Packer does with late text: what a field holds may itself be a
/// template.
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
