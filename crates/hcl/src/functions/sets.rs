//! Functions on sets: lists whose order and repetitions do not matter. Their results are sorted.

use std::collections::BTreeSet;

use super::{arguments::Arguments, function::Function, lists::uniform_lists};
use crate::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("setintersection", &["set", "sets..."], |a| {
        combine(a, |one, other| one.retain(|v| other.contains(v)))
    }),
    Function::new("setproduct", &["set", "sets..."], setproduct),
    Function::new("setunion", &["set", "sets..."], |a| combine(a, |one, other| one.extend(other))),
];

fn combine(arguments: &Arguments<'_>, with: fn(&mut BTreeSet<Value>, BTreeSet<Value>)) -> Result<Value, Fault> {
    let mut sets = uniform_lists(arguments)?.into_iter().map(|items| items.into_iter().collect::<BTreeSet<_>>());
    let mut result = sets.next().unwrap_or_default();
    sets.for_each(|set| with(&mut result, set));
    Ok(Value::List(result.into_iter().collect()))
}

/// Returns all combinations of one element of each, in the order of the lists, as HCL does for lists.
fn setproduct(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let mut product = vec![Vec::new()];
    for (index, _) in arguments.rest(0) {
        let items = arguments.uniform(index)?;
        let longer = product.len().saturating_mul(items.len());
        arguments.budget.spend(longer.saturating_mul(index + 1))?;
        let mut next = Vec::with_capacity(longer);
        for combination in &product {
            for item in &items {
                arguments.budget.spend_value(item)?;
                let mut combination: Vec<Value> = combination.clone();
                combination.push(item.clone());
                next.push(combination);
            }
        }
        product = next;
    }
    Ok(Value::List(product.into_iter().map(Value::List).collect()))
}
