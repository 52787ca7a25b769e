//! Functions on lists.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;

use super::{
    arguments::{Arguments, unified},
    function::Function,
};
use crate::{
    error::Fault,
    number::Number,
    types::{DEFERRED, Type, required, to_number, unify},
    value::Value,
};

type Result<T> = std::result::Result<T, Fault>;

/// The longest list that `range` makes: Packer's limit.
const MAX_RANGE: usize = 1024;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("alltrue", &["list"], |a| Ok(a.bools(0)?.into_iter().all(|item| item == Some(true)).into())),
    Function::new("anytrue", &["list"], |a| Ok(a.bools(0)?.into_iter().any(|item| item == Some(true)).into())),
    Function::new("chunklist", &["list", "size"], chunklist),
    Function::new("coalesce", &["values..."], coalesce),
    Function::new("coalescelist", &["lists..."], coalescelist),
    Function::new("compact", &["list"], compact),
    Function::new("concat", &["list", "lists..."], concat),
    Function::new("contains", &["list", "value"], |a| Ok(position(a)?.is_some().into())),
    Function::new("distinct", &["list"], distinct),
    Function::new("element", &["list", "index"], element),
    Function::new("flatten", &["list"], flatten),
    Function::new("index", &["list", "value"], index),
    Function::new("length", &["value"], length),
    Function::new("range", &["start?", "end", "step?"], range),
    Function::new("reverse", &["list"], |a| Ok(a.list(0)?.iter().rev().cloned().collect::<Vec<_>>().into())),
    Function::new("slice", &["list", "start", "end"], slice),
    Function::new("sort", &["list"], sort),
    Function::new("sum", &["list"], sum),
];

fn chunklist(arguments: &Arguments<'_>) -> Result<Value> {
    let items = arguments.uniform(0)?;
    let size = arguments.count(1)?;
    // A size of 0 gives one chunk.
    let size = if size == 0 { items.len().max(1) } else { size };
    Ok(items.chunks(size).map(|chunk| Value::List(chunk.to_vec())).collect::<Vec<_>>().into())
}

fn coalesce(arguments: &Arguments<'_>) -> Result<Value> {
    let types: Vec<Type> = arguments.rest(0).map(|(_, value)| Type::of(value)).collect();
    let of = unify(&types).ok_or("all arguments must be of the same type")?;
    for (index, value) in arguments.rest(0) {
        if value.is_null() || *value == Value::String(String::new()) {
            continue;
        }
        return of.convert(value.clone()).map_err(|error| Fault::new(error.to_string()).argument(index));
    }
    Err(Fault::new("every argument is null or an empty string"))
}

fn coalescelist(arguments: &Arguments<'_>) -> Result<Value> {
    for (index, value) in arguments.rest(0) {
        if !value.is_null() && !arguments.list(index)?.is_empty() {
            return Ok(value.clone());
        }
    }
    Err(Fault::new("every argument is null or an empty list"))
}

fn compact(arguments: &Arguments<'_>) -> Result<Value> {
    let items = arguments.list(0)?.iter().enumerate().filter(|(_, item)| !item.is_null());
    let texts = items.map(|(i, item)| {
        crate::types::to_text(item).map_err(|error| Fault::new(format!("element {i}: {error}")).argument(0))
    });
    let texts: Vec<Cow<'_, str>> = texts.collect::<Result<_>>()?;
    Ok(texts.iter().filter(|text| !text.is_empty()).map(|text| Value::from(&**text)).collect::<Vec<_>>().into())
}

fn concat(arguments: &Arguments<'_>) -> Result<Value> {
    let mut all = Vec::new();
    for (index, value) in arguments.rest(0) {
        arguments.budget.spend_value(value)?;
        all.extend_from_slice(arguments.list(index)?);
    }
    Ok(all.into())
}

fn position(arguments: &Arguments<'_>) -> Result<Option<usize>> {
    let wanted = arguments.value(1);
    if matches!(wanted, Value::Deferred(_)) {
        return Err(Fault::new(DEFERRED).argument(1));
    }
    let items = arguments.list(0)?;
    if items.iter().any(|item| matches!(item, Value::Deferred(_))) {
        return Err(Fault::new(DEFERRED).argument(0));
    }
    Ok(items.iter().position(|item| item == wanted))
}

fn index(arguments: &Arguments<'_>) -> Result<Value> {
    arguments.present(1)?;
    let position = position(arguments)?.ok_or_else(|| {
        Fault::new("the value is not in the list").help("Use contains(list, value) to find out whether it is.")
    })?;
    Ok(Value::Number(position.into()))
}

fn distinct(arguments: &Arguments<'_>) -> Result<Value> {
    let items = arguments.uniform(0)?;
    let mut seen = std::collections::BTreeSet::new();
    let distinct: Vec<Value> = items.iter().filter(|item| seen.insert(*item)).cloned().collect();
    Ok(distinct.into())
}

fn element(arguments: &Arguments<'_>) -> Result<Value> {
    let items = arguments.list(0)?;
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if length == 0 {
        return Err(Fault::new("the list is empty").argument(0));
    }
    let position = usize::try_from(arguments.integer(1)?.rem_euclid(length)).unwrap_or(0);
    Ok(items[position].clone())
}

fn flatten(arguments: &Arguments<'_>) -> Result<Value> {
    fn add(items: &[Value], out: &mut Vec<Value>) {
        for item in items {
            match item {
                Value::List(items) => add(items, out),
                other => out.push(other.clone()),
            }
        }
    }
    let mut out = Vec::new();
    arguments.budget.spend_value(arguments.value(0))?;
    add(arguments.list(0)?, &mut out);
    Ok(out.into())
}

fn length(arguments: &Arguments<'_>) -> Result<Value> {
    let length = match arguments.value(0) {
        Value::List(items) => items.len(),
        Value::Map(items) => items.len(),
        Value::String(text) => text.graphemes(true).count(),
        other => return Err(Fault::new(required("a string, a list or a map", other)).argument(0)),
    };
    Ok(Value::Number(length.into()))
}

fn range(arguments: &Arguments<'_>) -> Result<Value> {
    let zero = Number::from(0);
    let (start, end) = if arguments.len() == 1 {
        (zero.clone(), arguments.number(0)?.into_owned())
    } else {
        (arguments.number(0)?.into_owned(), arguments.number(1)?.into_owned())
    };
    let step = match arguments.len() {
        3 => arguments.number(2)?.into_owned(),
        _ if end < start => Number::from(-1),
        _ => Number::from(1),
    };
    if step.is_zero() {
        return Err(Fault::new("the step must not be 0").argument(2));
    }
    let down = step < zero;
    if start != end && down != (end < start) {
        let message =
            if down { "with a negative step, the end must be below the start" } else { "the end is below the start" };
        return Err(Fault::new(message).argument(1));
    }
    let mut items = Vec::new();
    let mut next = start;
    while if down { next > end } else { next < end } {
        if items.len() == MAX_RANGE {
            return Err(Fault::new(format!("the range has more than {MAX_RANGE} elements")));
        }
        items.push(Value::Number(next.clone()));
        next = next.plus(&step).ok_or("the range has numbers that are too large")?;
    }
    Ok(items.into())
}

fn slice(arguments: &Arguments<'_>) -> Result<Value> {
    let items = arguments.list(0)?;
    let (start, end) = (arguments.count(1)?, arguments.count(2)?);
    if end > items.len() {
        return Err(Fault::new(format!("the list has only {} elements", items.len())).argument(2));
    }
    match items.get(start..end) {
        Some(part) => Ok(part.to_vec().into()),
        None => Err(Fault::new("the start is above the end").argument(1)),
    }
}

fn sort(arguments: &Arguments<'_>) -> Result<Value> {
    let mut texts = arguments.texts(0)?;
    texts.sort();
    Ok(texts.into_iter().map(|text| Value::String(text.into_owned())).collect::<Vec<_>>().into())
}

fn sum(arguments: &Arguments<'_>) -> Result<Value> {
    let items = arguments.list(0)?;
    if items.is_empty() {
        return Err(Fault::new("the list is empty").argument(0));
    }
    let mut sum = Number::from(0);
    for (i, item) in items.iter().enumerate() {
        let number = to_number(item).map_err(|error| Fault::new(format!("element {i}: {error}")).argument(0))?;
        sum = sum.plus(&number).ok_or("the sum is too large")?;
    }
    Ok(sum.into())
}

/// Converts the elements of several lists to one type: that of a set of all of them.
pub(super) fn uniform_lists(arguments: &Arguments<'_>) -> Result<Vec<Vec<Value>>> {
    let mut all = Vec::new();
    let mut lengths = Vec::new();
    for (index, _) in arguments.rest(0) {
        let items = arguments.list(index)?;
        arguments.budget.spend_value(arguments.value(index))?;
        all.extend_from_slice(items);
        lengths.push(items.len());
    }
    let mut all = unified(all, 0)?.into_iter();
    Ok(lengths.into_iter().map(|length| all.by_ref().take(length).collect()).collect())
}
