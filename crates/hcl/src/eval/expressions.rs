//! Each kind of expression. Every kind has a function of its own, which keeps the stack small where they are nested.

use std::{borrow::Cow, collections::BTreeMap};

use hcl_edit::expr::{
    Array, BinaryOp, BinaryOperator, Conditional, Expression, ForExpr, Object, ObjectKey, Splat, Traversal,
    TraversalOperator, UnaryOp,
};
use hcl_edit::{Decorated, Ident};

use super::{evaluator::Evaluator, iterators::Iterators, operators, steps};
use crate::{
    error::{Error, Fault},
    nearest::suggest,
    number::Number,
    span,
    types::{Type, to_bool, to_text, unify},
    value::Value,
};

impl<'a> Evaluator<'a> {
    /// Returns the value of an expression, borrowed if it is a part of a named value.
    pub(super) fn expression(&self, expression: &Expression) -> Result<Cow<'a, Value>, Error> {
        self.budget.spend(1).map_err(|fault| fault.at(span::of(expression)))?;
        let value = match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(yes) => Value::Bool(*yes.value()),
            Expression::Number(number) => return self.number(number).map(Cow::Owned),
            Expression::String(text) => return self.text(text).map(Cow::Owned),
            Expression::Array(array) => return self.array(array).map(Cow::Owned),
            Expression::Object(object) => return self.object(object).map(Cow::Owned),
            Expression::StringTemplate(template) => self.template(template, &span::of(expression))?,
            Expression::HeredocTemplate(heredoc) => self.template(&heredoc.template, &span::of(expression))?,
            Expression::Parenthesis(inner) => return self.expression(inner.inner()),
            Expression::Variable(name) => return self.name(name),
            Expression::Conditional(conditional) => return self.conditional(conditional),
            Expression::FuncCall(call) => return self.call(call, span::of(expression)).map(Cow::Owned),
            Expression::Traversal(traversal) => return self.traversal(traversal),
            Expression::UnaryOp(operation) => return self.unary(operation).map(Cow::Owned),
            Expression::BinaryOp(operation) => return self.binary(operation).map(Cow::Owned),
            Expression::ForExpr(for_expr) => return self.for_expression(for_expr).map(Cow::Owned),
        };
        Ok(Cow::Owned(value))
    }

    fn number(&self, number: &hcl_edit::Formatted<hcl_edit::Number>) -> Result<Value, Error> {
        // The digits as they are written are exact; the parsed number is a float.
        let written = number.as_repr().map(|repr| repr.replace([' ', '\t'], ""));
        let parsed: Result<Number, String> = written.unwrap_or_else(|| number.value().to_string()).parse();
        parsed.map(Value::Number).map_err(|error| Fault::new(error).at(span::of(number)))
    }

    fn text(&self, text: &Decorated<String>) -> Result<Value, Error> {
        self.budget.spend_text(text.value().len()).map_err(|fault| fault.at(span::of(text)))?;
        Ok(Value::String(text.value().clone()))
    }

    /// Returns the value of an expression, copied if it is a part of a named one.
    fn owned(&self, expression: &Expression) -> Result<Value, Error> {
        let value = self.expression(expression)?;
        if let Cow::Borrowed(value) = value {
            self.budget.spend_value(value).map_err(|fault| fault.at(span::of(expression)))?;
        }
        Ok(value.into_owned())
    }

    fn array(&self, array: &Array) -> Result<Value, Error> {
        array.iter().map(|item| self.owned(item)).collect::<Result<_, _>>().map(Value::List)
    }

    fn object(&self, object: &Object) -> Result<Value, Error> {
        let mut items = BTreeMap::new();
        for (key, value) in object {
            let key = match key {
                ObjectKey::Ident(name) => name.to_string(),
                // As keys, the keywords are names.
                ObjectKey::Expression(Expression::Null(_)) => "null".to_owned(),
                ObjectKey::Expression(key) => self.key(key)?,
            };
            items.insert(key, self.owned(value.expr())?);
        }
        Ok(Value::Map(items))
    }

    fn key(&self, expression: &Expression) -> Result<String, Error> {
        let key = self.expression(expression)?;
        match to_text(&key) {
            Ok(text) => Ok(text.into_owned()),
            Err(error) => Err(Fault::new(format!("the key of a map: {error}")).at(span::of(expression))),
        }
    }

    fn name(&self, name: &Decorated<Ident>) -> Result<Cow<'a, Value>, Error> {
        if let Some(value) = self.scope.variable(name.as_str()) {
            return Ok(value);
        }
        let (message, help) = self.scope.missing(&[name.as_str()]).unwrap_or_else(|| {
            (format!("there is no {}", name.as_str()), suggest(name.as_str(), self.scope.names().iter().copied()))
        });
        Err(Error { span: span::of(name), message, help })
    }

    fn conditional(&self, conditional: &Conditional) -> Result<Cow<'a, Value>, Error> {
        let at = span::of(&conditional.cond_expr);
        let condition = self.expression(&conditional.cond_expr)?;
        let condition = to_bool(&condition).map_err(|error| Fault::new(format!("the condition: {error}")).at(at))?;
        let (chosen, other) = if condition {
            (&conditional.true_expr, &conditional.false_expr)
        } else {
            (&conditional.false_expr, &conditional.true_expr)
        };
        let value = self.expression(chosen)?;
        // As in HCL, both sides have one type; one side that has no value does not matter if the other is chosen.
        let Ok(other) = self.expression(other) else {
            return Ok(value);
        };
        let kinds = (Type::of(&value), Type::of(&other));
        if kinds.0 == kinds.1 || matches!(&*value, Value::Null | Value::Deferred(_)) {
            return Ok(value);
        }
        match unify([&kinds.0, &kinds.1]) {
            Some(of) => match of.convert(value.into_owned()) {
                Ok(value) => Ok(Cow::Owned(value)),
                Err(error) => Err(Fault::new(error.to_string()).at(span::of(chosen))),
            },
            // Packer knows the types of collections, and allows more or less by them: the value as it is will do.
            None if value.kind() == other.kind() => Ok(value),
            None => Err(Fault::new(format!(
                "the two results of a condition must be of one type, but one is {} and one is {}",
                value.kind(),
                other.kind()
            ))
            .at(span::of(conditional))),
        }
    }

    fn unary(&self, operation: &UnaryOp) -> Result<Value, Error> {
        let value = self.expression(&operation.expr)?;
        operators::unary(*operation.operator.value(), &value).map_err(|fault| fault.at(span::of(&operation.expr)))
    }

    fn binary(&self, operation: &BinaryOp) -> Result<Value, Error> {
        let left = self.expression(&operation.lhs_expr)?;
        let operator = *operation.operator.value();
        match (operator, to_bool(&left)) {
            (BinaryOperator::And, Ok(false)) => return Ok(Value::Bool(false)),
            (BinaryOperator::Or, Ok(true)) => return Ok(Value::Bool(true)),
            _ => {}
        }
        let right = self.expression(&operation.rhs_expr)?;
        operators::binary(operator, &left, &right).map_err(|fault| {
            let at = match fault.argument {
                Some(0) => span::of(&operation.lhs_expr),
                Some(_) => span::of(&operation.rhs_expr),
                None => span::of(operation),
            };
            fault.at(at)
        })
    }

    fn traversal(&self, traversal: &Traversal) -> Result<Cow<'a, Value>, Error> {
        let mut value = self.expression(&traversal.expr)?;
        let mut path: Vec<&str> = traversal.expr.as_variable().map(|name| name.as_str()).into_iter().collect();
        let mut operators = traversal.operators.iter();
        while let Some(operator) = operators.next() {
            let rest = operators.as_slice();
            value = match operator.value() {
                // Attributes after `.*` are taken of each element, whatever comes after them of the whole.
                TraversalOperator::AttrSplat(splat) => {
                    let attributes = rest.iter().take_while(|next| {
                        matches!(next.value(), TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_))
                    });
                    let count = attributes.count();
                    operators = rest[count..].iter();
                    self.splat(splat, value, &rest[..count])?
                }
                TraversalOperator::FullSplat(splat) => return self.splat(splat, value, rest),
                TraversalOperator::GetAttr(name) if !path.is_empty() => {
                    path.push(name.as_str());
                    let step = self.step(value, operator);
                    step.map_err(|error| match self.scope.missing(&path) {
                        Some((message, help)) => Error { span: error.span, message, help },
                        None => error,
                    })?
                }
                _ => self.step(value, operator)?,
            };
        }
        Ok(value)
    }

    fn splat(
        &self,
        splat: &Decorated<Splat>,
        value: Cow<'a, Value>,
        operators: &[Decorated<TraversalOperator>],
    ) -> Result<Cow<'a, Value>, Error> {
        let items = steps::splat(value).map_err(|fault| fault.at(span::of(splat)))?;
        let mut result = Vec::new();
        for mut item in items {
            let mut rest = operators.iter();
            while let Some(operator) = rest.next() {
                self.budget.spend(1).map_err(|fault| fault.at(span::of(splat)))?;
                item = match operator.value() {
                    TraversalOperator::FullSplat(inner) | TraversalOperator::AttrSplat(inner) => {
                        let inner = self.splat(inner, item, rest.as_slice())?;
                        rest = [].iter();
                        inner
                    }
                    _ => self.step(item, operator)?,
                };
            }
            self.budget.spend_value(&item).map_err(|fault| fault.at(span::of(splat)))?;
            result.push(item.into_owned());
        }
        Ok(Cow::Owned(Value::List(result)))
    }

    fn step(&self, value: Cow<'a, Value>, operator: &Decorated<TraversalOperator>) -> Result<Cow<'a, Value>, Error> {
        let at = span::of(operator);
        match operator.value() {
            TraversalOperator::GetAttr(name) => steps::attribute(value, name.as_str()).map_err(|fault| fault.at(at)),
            TraversalOperator::LegacyIndex(number) => {
                steps::index(value, &Value::Number(Number::from(*number.value()))).map_err(|fault| fault.at(at))
            }
            TraversalOperator::Index(key) => {
                let key_value = self.expression(key)?;
                steps::index(value, &key_value)
                    .map_err(|fault| if fault.argument.is_some() { fault.at(span::of(key)) } else { fault.at(at) })
            }
            // Splats are taken before.
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => Ok(value),
        }
    }

    /// Calls `each` with the names of a `for` set to each element in turn.
    pub(super) fn for_each(
        &self,
        names: (Option<&Decorated<Ident>>, &Decorated<Ident>),
        collection: &Expression,
        each: &mut dyn FnMut(&Evaluator<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let at = span::of(collection);
        let value = self.expression(collection)?;
        for (key, item) in steps::entries(value).map_err(|fault| fault.at(at.clone()))? {
            self.budget.spend(1).map_err(|fault| fault.at(at.clone()))?;
            let scope = Iterators {
                outer: self.scope,
                key: names.0.map(|name| (name.as_str(), &key)),
                value: (names.1.as_str(), &item),
            };
            each(&Evaluator { scope: &scope, ..*self })?;
        }
        Ok(())
    }

    fn for_expression(&self, node: &ForExpr) -> Result<Value, Error> {
        let mut list = Vec::new();
        let mut map = BTreeMap::new();
        let names = (node.intro.key_var.as_ref(), &node.intro.value_var);
        self.for_each(names, &node.intro.collection_expr, &mut |inner| {
            if let Some(condition) = &node.cond {
                let value = inner.expression(&condition.expr)?;
                let included = to_bool(&value).map_err(|error| {
                    Fault::new(format!("the condition of a for: {error}")).at(span::of(&condition.expr))
                })?;
                if !included {
                    return Ok(());
                }
            }
            let Some(key_expression) = &node.key_expr else {
                list.push(inner.owned(&node.value_expr)?);
                return Ok(());
            };
            let key = inner.key(key_expression)?;
            let value = inner.owned(&node.value_expr)?;
            if node.grouping {
                match map.entry(key).or_insert_with(|| Value::List(Vec::new())) {
                    Value::List(group) => group.push(value),
                    other => *other = value,
                }
                return Ok(());
            }
            if map.contains_key(&key) {
                return Err(Fault::new(format!("the key {key:?} occurs twice"))
                    .help("Write ... after the value to group the values of equal keys into lists.")
                    .at(span::of(key_expression)));
            }
            map.insert(key, value);
            Ok(())
        })?;
        Ok(if node.key_expr.is_some() { Value::Map(map) } else { Value::List(list) })
    }
}
