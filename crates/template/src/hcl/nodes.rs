//! The values of options: expressions to the tree that options are read from, each part with its place. They are
//! converted by HCL's rules, which are stricter than those for JSON templates.

use std::sync::Arc;

use bakehouse_hcl::{
    Type, Value,
    hcl_edit::{self, expr::ObjectKey, template::Element},
};

use super::{
    evaluation::{Evaluation, UNKNOWN},
    expand::not_written,
    names::State,
    syntax::{Expression, ExpressionSyntax, span},
};
use crate::{
    diagnostic::Diagnostic,
    source::{Location, SourceText},
    tree::{Entry, Located, Map, Node, SourceString, all},
};

impl Evaluation<'_> {
    /// Returns the value of an expression, converted to a type. [`Node::Invalid`] only after an error was reported: a
    /// part of a list or an object that is invalid leaves the others to be checked.
    pub(super) fn node(&self, expression: &Expression<'_>, wanted: &Type) -> Node {
        self.converted(expression, wanted).unwrap_or_else(|| Node::Invalid(expression.location()))
    }

    fn converted(&self, expression: &Expression<'_>, wanted: &Type) -> Option<Node> {
        let of = |syntax| Expression { syntax, iterators: expression.iterators.clone() };
        let element = match wanted {
            Type::List(of) | Type::Set(of) | Type::Map(of) => of,
            _ => &Type::Any,
        };
        let (takes_list, takes_map, takes_text) = (
            matches!(wanted, Type::Any | Type::List(_) | Type::Set(_)),
            matches!(wanted, Type::Any | Type::Map(_)),
            matches!(wanted, Type::Any | Type::String),
        );
        match expression.syntax {
            ExpressionSyntax::Native(source, syntax) => match syntax {
                hcl_edit::expr::Expression::Parenthesis(inner) => {
                    self.converted(&of(ExpressionSyntax::Native(source, inner.inner())), wanted)
                }
                hcl_edit::expr::Expression::Array(items) if takes_list => {
                    let items =
                        items.iter().map(|item| self.node(&of(ExpressionSyntax::Native(source, item)), element));
                    Some(Node::List(Located { value: items.collect(), location: expression.location() }))
                }
                hcl_edit::expr::Expression::Object(items) if takes_map => {
                    let entries = items.iter().map(|(key, value)| {
                        let value = self.node(&of(ExpressionSyntax::Native(source, value.expr())), element);
                        Some(Entry { key: self.object_key(expression, source, key)?, value })
                    });
                    Some(Node::Map(Map { entries: self.unique(all(entries)?), location: expression.location() }))
                }
                hcl_edit::expr::Expression::String(text) if takes_text => {
                    let location = expression.location();
                    let start = location.start + 1;
                    let mut pieces = Pieces::new(location);
                    pieces.literal(text.value(), start, true);
                    Some(Node::String(pieces.finish()))
                }
                hcl_edit::expr::Expression::StringTemplate(template) if takes_text => {
                    self.text(expression, source, template, true)
                }
                hcl_edit::expr::Expression::HeredocTemplate(heredoc) if takes_text => {
                    self.text(expression, source, &heredoc.template, false)
                }
                _ => self.scalar(expression, wanted),
            },
            ExpressionSyntax::Json(node) => match node {
                Node::List(list) if takes_list => {
                    let items = list.value.iter().map(|item| self.node(&of(ExpressionSyntax::Json(item)), element));
                    Some(Node::List(Located { value: items.collect(), location: list.location.clone() }))
                }
                Node::Map(map) if takes_map => {
                    let entries = map.entries.iter().map(|entry| {
                        let key = Node::String(entry.key.clone());
                        let syntax = ExpressionSyntax::Json(&key);
                        let key = Expression { syntax, iterators: expression.iterators.clone() };
                        let key = self.converted(&key, &Type::String);
                        let value = self.node(&of(ExpressionSyntax::Json(&entry.value)), element);
                        match (key?, value) {
                            (Node::String(key), value) => Some(Entry { key, value }),
                            _ => None,
                        }
                    });
                    Some(Node::Map(Map { entries: self.unique(all(entries)?), location: map.location.clone() }))
                }
                Node::String(text) if takes_text && !text.value.contains("${") && !text.value.contains("%{") => {
                    Some(Node::String(text.clone()))
                }
                _ => self.scalar(expression, wanted),
            },
        }
    }

    /// Evaluates an expression as a whole, and converts its value.
    fn scalar(&self, expression: &Expression<'_>, wanted: &Type) -> Option<Node> {
        let (value, state) = self.value(expression)?;
        let location = expression.location();
        if state == State::Unknown {
            self.shared.unknown.borrow_mut().push(location.clone());
        }
        match wanted.convert(value) {
            Ok(value) => Some(tree(value, &location)),
            Err(_) if state == State::Unknown => Some(tree(any_of(wanted), &location)),
            Err(error) => {
                self.shared.diagnostics.add(
                    Diagnostic::error(&location, error.to_string())
                        .label(format!("{} is needed", describe(wanted)))
                        .help(example(wanted)),
                );
                None
            }
        }
    }

    /// Evaluates a template piece by piece, so that each byte of the text has its place.
    fn text(
        &self,
        expression: &Expression<'_>,
        source: &Arc<SourceText>,
        template: &hcl_edit::template::Template,
        has_escapes: bool,
    ) -> Option<Node> {
        let is_single = template.as_single_element().is_some_and(|element| !element.is_literal());
        if is_single || template.iter().any(|element| matches!(element, Element::Directive(_))) {
            return self.scalar(expression, &Type::String);
        }
        let mut pieces = Pieces::new(expression.location());
        let mut is_unknown = false;
        for element in template.iter() {
            match element {
                Element::Literal(text) => pieces.literal(text.as_str(), span(source, text).start, has_escapes),
                Element::Interpolation(inner) => {
                    let at = span(source, inner);
                    let piece = Expression {
                        syntax: ExpressionSyntax::Native(source, &inner.expr),
                        iterators: expression.iterators.clone(),
                    };
                    let (value, state) = self.value(&piece)?;
                    is_unknown |= state == State::Unknown;
                    match Type::String.convert(value) {
                        Ok(Value::String(text) | Value::Deferred(text)) => pieces.value(&text, &at),
                        _ if state == State::Unknown => pieces.value(UNKNOWN, &at),
                        // The whole has an error, too, which says more.
                        _ => return self.scalar(expression, &Type::String),
                    }
                }
                Element::Directive(_) => {}
            }
        }
        if is_unknown {
            self.shared.unknown.borrow_mut().push(expression.location());
        }
        Some(Node::String(pieces.finish()))
    }

    fn object_key(&self, around: &Expression<'_>, source: &Arc<SourceText>, key: &ObjectKey) -> Option<SourceString> {
        match key {
            ObjectKey::Ident(name) => Some(not_written(name.as_str().to_owned(), &span(source, name))),
            ObjectKey::Expression(hcl_edit::expr::Expression::Null(null)) => {
                Some(not_written("null".to_owned(), &span(source, null)))
            }
            ObjectKey::Expression(key) => {
                let key =
                    Expression { syntax: ExpressionSyntax::Native(source, key), iterators: around.iterators.clone() };
                match self.converted(&key, &Type::String)? {
                    Node::String(text) => Some(text),
                    other => {
                        self.error(other.location(), format!("a key is a string, not {}", other.kind()), None);
                        None
                    }
                }
            }
        }
    }

    /// Returns the entries of an object, of several with one key the last.
    fn unique(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut last: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = last.insert(entry.key.value.clone(), index)
                && let Some(first) = entries.get(first)
            {
                let message = format!("the key \"{}\" is set twice", entry.key.value);
                let label = format!("this is used, and not the one on line {}", first.key.location.line());
                self.shared
                    .diagnostics
                    .add(Diagnostic::warning(&entry.key.location, message).label(label).help("Keep one of the two."));
            }
        }
        let is_last = |index: &usize, entry: &Entry| last.get(&entry.key.value) == Some(index);
        entries.into_iter().enumerate().filter(|(index, entry)| is_last(index, entry)).map(|(_, entry)| entry).collect()
    }
}

/// Returns the tree of a value, all of it at one place.
pub(super) fn tree(value: Value, location: &Location) -> Node {
    match value {
        Value::Null => Node::Null(location.clone()),
        Value::Bool(bool) => Node::Bool(Located::new(bool, location)),
        Value::Number(number) => Node::Number(Located::new(number.to_string(), location)),
        Value::String(text) | Value::Deferred(text) => Node::String(not_written(text, location)),
        Value::List(items) => {
            Node::List(Located::new(items.into_iter().map(|item| tree(item, location)).collect(), location))
        }
        Value::Map(items) => {
            let entries = items
                .into_iter()
                .map(|(key, item)| Entry { key: not_written(key, location), value: tree(item, location) });
            Node::Map(Map { entries: entries.collect(), location: location.clone() })
        }
    }
}

/// Returns a value of a type, for one that is not known.
fn any_of(wanted: &Type) -> Value {
    match wanted {
        Type::Any | Type::String => UNKNOWN.into(),
        Type::Number => 0.into(),
        Type::Bool => false.into(),
        Type::List(_) | Type::Set(_) | Type::Tuple(_) => Value::List(Vec::new()),
        Type::Map(_) | Type::Object(_) => Value::Map(std::collections::BTreeMap::new()),
    }
}

fn describe(wanted: &Type) -> &'static str {
    match wanted {
        Type::Any => "a value",
        Type::String => "a string",
        Type::Number => "a number",
        Type::Bool => "a bool",
        Type::List(_) | Type::Set(_) | Type::Tuple(_) => "a list",
        Type::Map(_) | Type::Object(_) => "a map",
    }
}

fn example(wanted: &Type) -> &'static str {
    match wanted {
        Type::Any => "Write a value.",
        Type::String => "Write one string in quotes.",
        Type::Number => "Write a number such as 8.",
        Type::Bool => "Write true or false.",
        Type::List(of) if matches!(**of, Type::List(_)) => "Write a list of lists: [[\"…\", \"…\"], …]",
        Type::List(_) | Type::Set(_) | Type::Tuple(_) => "Write a list: [\"…\", \"…\"]",
        Type::Map(_) | Type::Object(_) => "Write a map: { Name = \"value\" }",
    }
}

/// A text in the making, with the place of each byte.
struct Pieces {
    text: String,
    offsets: Vec<(usize, usize)>,
    location: Location,
}

impl Pieces {
    fn new(location: Location) -> Self {
        Self { text: String::new(), offsets: Vec::new(), location }
    }

    /// Adds a literal piece that stands at `start`: where escapes, or the indentation that `<<-` removes, make the
    /// source longer, the places shift.
    fn literal(&mut self, decoded: &str, start: usize, has_escapes: bool) {
        let raw = self.location.source.text().get(start..self.location.end).unwrap_or_default();
        let mut at = 0;
        self.offsets.push((self.text.len(), start));
        for c in decoded.chars() {
            let before = at;
            // What is in the source but not in the text: removed whitespace, and the first $ of $${.
            while let Some(next) = raw.get(at..).and_then(|rest| rest.chars().next())
                && next != c
                && !(has_escapes && next == '\\')
                && (next.is_whitespace() || matches!(next, '$' | '%'))
            {
                at += next.len_utf8();
            }
            if at != before {
                self.offsets.push((self.text.len(), start + at));
            }
            let length = if has_escapes { source_length(raw, at, c) } else { c.len_utf8() };
            at += length;
            self.text.push(c);
            if length != c.len_utf8() {
                self.offsets.push((self.text.len(), start + at));
            }
        }
    }

    /// Adds the value of an expression, all of whose bytes are at one place.
    fn value(&mut self, text: &str, at: &Location) {
        // The place repeats, so that no byte is taken for one behind the expression.
        let width = (at.end - at.start).max(1);
        let starts = (0..text.len()).step_by(width);
        self.offsets.extend(starts.map(|from| (self.text.len() + from, at.start)));
        self.text.push_str(text);
        self.offsets.push((self.text.len(), at.end));
    }

    fn finish(self) -> SourceString {
        let mut offsets = self.offsets;
        if offsets.first().is_none_or(|(from, _)| *from > 0) {
            offsets.insert(0, (0, self.location.start));
        }
        SourceString { value: self.text, location: self.location, offsets }
    }
}

/// Returns how many bytes of a quoted string stand for the character: an escape or itself.
fn source_length(raw: &str, at: usize, c: char) -> usize {
    match raw.as_bytes().get(at..at + 2) {
        Some(b"\\u") => 6,
        Some(b"\\U") => 10,
        Some([b'\\', _]) => 2,
        _ => c.len_utf8(),
    }
}
