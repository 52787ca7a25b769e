//! Which names an expression refers to.

use std::ops::Range;

use hcl_edit::{
    Span as _,
    expr::{Expression, ForExpr, FuncCall, ObjectKey, Traversal, TraversalOperator},
    template::{ForDirective, Template},
    visit::{self, Visit},
};

/// One mention of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The root name, then the attributes: `["var", "x"]`, `["data", "amazon-ami", "base", "id"]`. It ends at the first
    /// index that is no literal, and at a splat.
    pub path: Vec<String>,
    /// Where it stands, from the root name to the last attribute of `path`.
    pub span: Range<usize>,
}

/// Returns the references of an expression, in their order. The iterators of `for` are none.
pub fn references(expression: &Expression) -> Vec<Reference> {
    let mut finder = Finder::default();
    finder.visit_expr(expression);
    finder.found
}

/// Returns the references of a template, in their order. The iterators of `for` are none.
pub fn template_references(template: &Template) -> Vec<Reference> {
    let mut finder = Finder::default();
    finder.visit_template(template);
    finder.found
}

#[derive(Default)]
struct Finder {
    found: Vec<Reference>,
    /// The iterators around the current place.
    iterators: Vec<String>,
}

impl Finder {
    fn found(&mut self, path: Vec<String>, span: Range<usize>) {
        if path.first().is_none_or(|root| !self.iterators.contains(root)) {
            self.found.push(Reference { path, span });
        }
    }

    /// Visits what sees the iterators.
    fn with_iterators(&mut self, key: Option<&str>, value: &str, visit: impl FnOnce(&mut Self)) {
        let before = self.iterators.len();
        self.iterators.extend(key.map(str::to_owned));
        self.iterators.push(value.to_owned());
        visit(self);
        self.iterators.truncate(before);
    }
}

impl Visit for Finder {
    fn visit_expr(&mut self, node: &Expression) {
        if let Expression::Variable(name) = node {
            self.found(vec![name.to_string()], node.span().unwrap_or_default());
        } else {
            visit::visit_expr(self, node);
        }
    }

    fn visit_traversal(&mut self, node: &Traversal) {
        if let Expression::Variable(root) = &node.expr {
            let mut path = vec![root.to_string()];
            let mut span = node.expr.span().unwrap_or_default();
            for operator in &node.operators {
                match operator.value() {
                    TraversalOperator::GetAttr(name) => path.push(name.to_string()),
                    TraversalOperator::Index(Expression::String(key)) => path.push(key.value().clone()),
                    _ => break,
                }
                span.end = operator.span().map_or(span.end, |span| span.end);
            }
            self.found(path, span);
        } else {
            self.visit_expr(&node.expr);
        }
        for operator in &node.operators {
            if let TraversalOperator::Index(index) = operator.value() {
                self.visit_expr(index);
            }
        }
    }

    fn visit_func_call(&mut self, node: &FuncCall) {
        // The second argument of `convert` is a type: `string` in it is no name.
        let values = if node.name.name.as_str() == "convert" { 1 } else { usize::MAX };
        node.args.iter().take(values).for_each(|argument| self.visit_expr(argument));
    }

    fn visit_object_key(&mut self, node: &ObjectKey) {
        // A bare name as a key is the key itself.
        if let ObjectKey::Expression(key) = node {
            self.visit_expr(key);
        }
    }

    fn visit_for_expr(&mut self, node: &ForExpr) {
        self.visit_expr(&node.intro.collection_expr);
        let key = node.intro.key_var.as_ref().map(|name| name.as_str());
        self.with_iterators(key, node.intro.value_var.as_str(), |finder| {
            node.key_expr.iter().for_each(|key| finder.visit_expr(key));
            finder.visit_expr(&node.value_expr);
            node.cond.iter().for_each(|condition| finder.visit_expr(&condition.expr));
        });
    }

    fn visit_for_directive(&mut self, node: &ForDirective) {
        let ForDirective { for_expr, .. } = node;
        self.visit_expr(&for_expr.collection_expr);
        let key = for_expr.key_var.as_ref().map(|name| name.as_str());
        self.with_iterators(key, for_expr.value_var.as_str(), |finder| finder.visit_template(&for_expr.template));
    }
}
