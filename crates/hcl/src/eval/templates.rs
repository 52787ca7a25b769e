//! Templates: text with `${ }` and `%{ }`.
//!
//! Whitespace next to `~` is already gone: the parser of this crate removes it.

use std::ops::Range;

use hcl_edit::template::{Directive, Element, Template};

use super::evaluator::Evaluator;
use crate::{
    error::{Error, Fault},
    span,
    types::{to_bool, to_text},
    value::Value,
};

/// The text so far.
#[derive(Default)]
struct Text {
    text: String,
    deferred: bool,
}

impl Evaluator<'_> {
    /// Returns the value of a template; `around` is where it stands.
    pub(super) fn template(&self, template: &Template, around: &Range<usize>) -> Result<Value, Error> {
        let mut elements = template.iter();
        if let (Some(Element::Interpolation(single)), None) = (elements.next(), elements.next()) {
            return self.expression(&single.expr).map(std::borrow::Cow::into_owned);
        }
        let mut out = Text::default();
        self.render(template, around, &mut out)?;
        Ok(if out.deferred { Value::Deferred(out.text) } else { Value::String(out.text) })
    }

    fn render(&self, template: &Template, around: &Range<usize>, out: &mut Text) -> Result<(), Error> {
        for element in template.iter() {
            match element {
                Element::Literal(text) => self.push(out, text.value(), around)?,
                Element::Interpolation(interpolation) => {
                    let value = self.expression(&interpolation.expr)?;
                    let at = span::of(&interpolation.expr);
                    if let Value::Deferred(text) = &*value {
                        out.deferred = true;
                        self.push(out, text, &at)?;
                        continue;
                    }
                    match to_text(&value) {
                        Ok(text) => self.push(out, &text, &at)?,
                        Err(_) => return Err(not_text(&value).at(at)),
                    }
                }
                Element::Directive(directive) => self.directive(directive, around, out)?,
            }
        }
        Ok(())
    }

    fn push(&self, out: &mut Text, text: &str, at: &Range<usize>) -> Result<(), Error> {
        self.budget.spend_text(text.len()).map_err(|fault| fault.at(at.clone()))?;
        out.text.push_str(text);
        Ok(())
    }

    fn directive(&self, directive: &Directive, around: &Range<usize>, out: &mut Text) -> Result<(), Error> {
        match directive {
            Directive::If(node) => {
                let condition = &node.if_expr.cond_expr;
                let value = self.expression(condition)?;
                let at = span::of(condition);
                if to_bool(&value).map_err(|error| Fault::new(format!("the condition: {error}")).at(at))? {
                    self.render(&node.if_expr.template, around, out)
                } else if let Some(node) = &node.else_expr {
                    self.render(&node.template, around, out)
                } else {
                    Ok(())
                }
            }
            Directive::For(node) => {
                let intro = &node.for_expr;
                let names = (intro.key_var.as_ref(), &intro.value_var);
                self.for_each(names, &intro.collection_expr, &mut |inner| inner.render(&intro.template, around, out))
            }
        }
    }
}

fn not_text(value: &Value) -> Fault {
    let fault = Fault::new(format!("a string is required in a template, but this is {}", value.kind()));
    match value {
        Value::List(_) => fault.help("Write ${join(\", \", …)} for the elements, or ${jsonencode(…)}."),
        Value::Map(_) => fault.help("Write ${jsonencode(…)}."),
        Value::Null => fault.help("Write ${x == null ? \"\" : x} if it may be null."),
        _ => fault,
    }
}
