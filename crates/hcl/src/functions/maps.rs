//! Functions on maps.

use std::collections::BTreeMap;

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("keys", &["map"], |a| Ok(a.map(0)?.keys().map(|key| key.as_str().into()).collect::<Vec<_>>().into())),
    Function::new("lookup", &["map", "key", "default"], lookup),
    Function::new("merge", &["maps..."], merge),
    Function::new("values", &["map"], |a| Ok(a.map(0)?.values().cloned().collect::<Vec<_>>().into())),
    Function::new("zipmap", &["keys", "values"], zipmap),
];

fn lookup(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let map = arguments.map(0)?;
    let key = arguments.text(1)?;
    Ok(map.get(&*key).unwrap_or(arguments.value(2)).clone())
}

/// Null is taken for an empty map.
fn merge(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let mut merged = BTreeMap::new();
    for (index, value) in arguments.rest(0) {
        if !value.is_null() {
            arguments.budget.spend_value(value)?;
            merged.extend(arguments.map(index)?.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    Ok(merged.into())
}

fn zipmap(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let keys = arguments.texts(0)?;
    let values = arguments.list(1)?;
    if keys.len() != values.len() {
        return Err(Fault::new(format!("there are {} keys, but {} values", keys.len(), values.len())));
    }
    let map: BTreeMap<String, Value> =
        keys.into_iter().map(|key| key.into_owned()).zip(values.iter().cloned()).collect();
    Ok(map.into())
}
