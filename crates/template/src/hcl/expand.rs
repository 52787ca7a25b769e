//! `dynamic` blocks: the blocks that each makes.

use bakehouse_hcl::Value;

use super::{
    evaluation::Evaluation,
    names::State,
    syntax::{Attribute, Block, Body, Item, Role},
};
use crate::{source::Location, tree::SourceString};

/// What a `dynamic` block says.
struct Dynamic<'a> {
    kind: SourceString,
    for_each: Attribute<'a>,
    /// The name of the iterator.
    iterator: String,
    labels: Option<Attribute<'a>>,
    content: Body<'a>,
}

impl Evaluation<'_> {
    /// Returns the parts of a body, with the blocks that its `dynamic` blocks make in their places.
    pub(super) fn items<'a>(&self, body: &Body<'a>, role: &dyn Fn(&str) -> Role) -> Vec<Item<'a>> {
        let mut expanded = Vec::new();
        for item in body.items(role, self.shared.diagnostics) {
            match item {
                Item::Block(block) if block.kind.value == "dynamic" => self.expand(&block, &mut expanded),
                other => expanded.push(other),
            }
        }
        expanded
    }

    /// Adds the blocks that a `dynamic` block makes.
    pub(super) fn expand<'a>(&self, block: &Block<'a>, expanded: &mut Vec<Item<'a>>) {
        let Some(dynamic) = self.dynamic(block) else { return };
        let Some((elements, state)) = self.value(&dynamic.for_each.expression) else { return };
        let elements: Vec<(Value, Value)> = match elements {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(index, item)| ((index as i64).into(), item)).collect()
            }
            Value::Map(items) => items.into_iter().map(|(key, item)| (key.into(), item)).collect(),
            _ if state == State::Unknown => return,
            other => {
                let location = dynamic.for_each.expression.location();
                let message = format!("`for_each` is {}", other.kind());
                return self.error(
                    &location,
                    message,
                    Some("It needs a list or a map: one block for each element.".to_owned()),
                );
            }
        };
        for (key, value) in elements {
            if !self.count_block(&block.header()) {
                return;
            }
            let element = [("key".to_owned(), key), ("value".to_owned(), value)];
            let element = Value::Map(element.into_iter().collect());
            let body = dynamic.content.with_iterator(&dynamic.iterator, element.clone());
            let Some(labels) = self.labels(&dynamic, element) else { continue };
            expanded.push(Item::Block(Block { kind: dynamic.kind.clone(), labels, body }));
        }
    }

    fn dynamic<'a>(&self, block: &Block<'a>) -> Option<Dynamic<'a>> {
        let [kind] = block.labels.as_slice() else {
            let help = "Write the type of the blocks that it makes: dynamic \"tag\" { … }".to_owned();
            self.error(&block.header(), "a `dynamic` block has one label", Some(help));
            return None;
        };
        let (mut for_each, mut iterator, mut labels, mut content) = (None, None, None, None);
        let role = |name: &str| if name == "content" { Role::Block(0) } else { Role::Attribute };
        for item in block.body.items(&role, self.shared.diagnostics) {
            let name = item.name().clone();
            match (name.value.as_str(), item) {
                ("for_each", Item::Attribute(attribute)) => for_each = Some(attribute),
                ("iterator", Item::Attribute(attribute)) => iterator = Some(attribute),
                ("labels", Item::Attribute(attribute)) => labels = Some(attribute),
                ("content", Item::Block(block)) => {
                    if content.replace(block.body).is_some() {
                        self.error(&name.location, "a `dynamic` block has one `content`", None);
                    }
                }
                (other, _) => {
                    let message = format!("`{other}` cannot be used in a `dynamic` block");
                    let help = "It has for_each, iterator, labels and a block content { … }.".to_owned();
                    self.error(&name.location, message, Some(help));
                }
            }
        }
        let (Some(for_each), Some(content)) = (for_each, content) else {
            let help = "Write for_each = … and content { … }.".to_owned();
            self.error(&block.header(), "a `dynamic` block needs `for_each` and `content`", Some(help));
            return None;
        };
        let iterator = match iterator {
            None => kind.value.clone(),
            Some(attribute) => self.iterator_name(&attribute)?,
        };
        Some(Dynamic { kind: kind.clone(), for_each, iterator, labels, content })
    }

    /// Returns the name of an iterator, which is written as a bare word; in JSON as a string.
    fn iterator_name(&self, attribute: &Attribute<'_>) -> Option<String> {
        use super::syntax::ExpressionSyntax;
        match attribute.expression.syntax {
            ExpressionSyntax::Native(_, bakehouse_hcl::hcl_edit::expr::Expression::Variable(name)) => {
                Some(name.as_str().to_owned())
            }
            ExpressionSyntax::Json(crate::tree::Node::String(text)) => Some(text.value.clone()),
            _ => {
                let help = "Write a name: iterator = disk".to_owned();
                self.error(&attribute.expression.location(), "`iterator` is a name", Some(help));
                None
            }
        }
    }

    fn labels(&self, dynamic: &Dynamic<'_>, element: Value) -> Option<Vec<SourceString>> {
        let Some(attribute) = &dynamic.labels else {
            return Some(Vec::new());
        };
        let mut expression = attribute.expression.clone();
        let mut iterators = expression.iterators.as_ref().clone();
        iterators.push((dynamic.iterator.clone(), element));
        expression.iterators = iterators.into();
        let (value, _) = self.value(&expression)?;
        let location = expression.location();
        let wanted = bakehouse_hcl::Type::List(Box::new(bakehouse_hcl::Type::String));
        let Ok(Value::List(labels)) = wanted.convert(value) else {
            self.error(&location, "`labels` is a list of strings", Some("Write labels = [\"…\"]".to_owned()));
            return None;
        };
        let label = |value: Value| match value {
            Value::String(value) => Some(not_written(value, &location)),
            _ => None,
        };
        labels.into_iter().map(label).collect()
    }
}

/// Returns a string that an expression at this location makes.
pub(super) fn not_written(value: String, location: &Location) -> SourceString {
    SourceString { value, location: location.clone(), offsets: vec![(0, location.start)] }
}
