//! HCL's operators, on values.

use hcl_edit::expr::{BinaryOperator, UnaryOperator};

use crate::{
    error::Fault,
    number::Number,
    types::{DEFERRED, to_bool, to_number},
    value::Value,
};

pub(super) fn unary(operator: UnaryOperator, value: &Value) -> Result<Value, Fault> {
    Ok(match operator {
        UnaryOperator::Neg => Value::Number(to_number(value)?.negated()),
        UnaryOperator::Not => Value::Bool(!to_bool(value)?),
    })
}

/// Applies an operator to two values. The argument of a fault is 0 for the left, 1 for the right one.
pub(super) fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Result<Value, Fault> {
    use BinaryOperator as Op;
    let numbers = || -> Result<(Number, Number), Fault> {
        let left = to_number(left).map_err(|error| Fault::new(error).argument(0))?;
        let right = to_number(right).map_err(|error| Fault::new(error).argument(1))?;
        Ok((left.into_owned(), right.into_owned()))
    };
    let bools = || -> Result<(bool, bool), Fault> {
        let left = to_bool(left).map_err(|error| Fault::new(error).argument(0))?;
        let right = to_bool(right).map_err(|error| Fault::new(error).argument(1))?;
        Ok((left, right))
    };
    Ok(match operator {
        Op::Eq => Value::Bool(equal(left, right)?),
        Op::NotEq => Value::Bool(!equal(left, right)?),
        Op::And => bools().map(|(left, right)| Value::Bool(left && right))?,
        Op::Or => bools().map(|(left, right)| Value::Bool(left || right))?,
        Op::Less => numbers().map(|(left, right)| Value::Bool(left < right))?,
        Op::LessEq => numbers().map(|(left, right)| Value::Bool(left <= right))?,
        Op::Greater => numbers().map(|(left, right)| Value::Bool(left > right))?,
        Op::GreaterEq => numbers().map(|(left, right)| Value::Bool(left >= right))?,
        Op::Plus | Op::Minus | Op::Mul | Op::Div | Op::Mod => {
            let (left, right) = numbers()?;
            if matches!(operator, Op::Div | Op::Mod) && right.is_zero() {
                return Err(Fault::new("the divisor is 0").argument(1));
            }
            let result = match operator {
                Op::Plus => left.plus(&right),
                Op::Minus => left.minus(&right),
                Op::Mul => left.times(&right),
                Op::Div => left.divided_by(&right),
                _ => left.remainder(&right),
            };
            Value::Number(result.ok_or("the result is too large")?)
        }
    })
}

/// As HCL: values of different kinds are not equal (`1 == "1"` is false).
fn equal(left: &Value, right: &Value) -> Result<bool, Fault> {
    for (index, side) in [left, right].into_iter().enumerate() {
        if has_deferred(side) {
            return Err(Fault::new(DEFERRED).argument(index));
        }
    }
    Ok(left == right)
}

fn has_deferred(value: &Value) -> bool {
    match value {
        Value::Deferred(_) => true,
        Value::List(items) => items.iter().any(has_deferred),
        Value::Map(items) => items.values().any(has_deferred),
        _ => false,
    }
}
