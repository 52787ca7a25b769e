//! The one type that several can be converted to.

use std::collections::BTreeMap;

use super::shape::{Attribute, Type};

/// Returns the type that all of these can be converted to, if there is one. [`Type::Any`] is that of null: it fits all.
pub(crate) fn unify<'a>(types: impl IntoIterator<Item = &'a Type>) -> Option<Type> {
    let mut unified: Option<Type> = None;
    for of in types {
        unified = Some(match unified {
            None => of.clone(),
            Some(known) => unify_two(known, of)?,
        });
    }
    Some(unified.unwrap_or(Type::Any))
}

fn unify_two(one: Type, other: &Type) -> Option<Type> {
    if one == *other {
        return Some(one);
    }
    match (one, other) {
        (Type::Any, other) => Some(other.clone()),
        (one, Type::Any) => Some(one),
        (Type::String, Type::Bool | Type::Number) | (Type::Bool | Type::Number, Type::String) => Some(Type::String),
        (Type::Tuple(one), Type::Tuple(other)) if one.len() == other.len() => {
            let items = one.into_iter().zip(other).map(|(one, other)| unify_two(one, other));
            items.collect::<Option<_>>().map(Type::Tuple)
        }
        (Type::Object(one), Type::Object(other)) if one.keys().eq(other.keys()) => {
            let unified = one.into_iter().zip(other.values()).map(|((name, one), other)| {
                Some((name, Attribute { of: unify_two(one.of, &other.of)?, default: None }))
            });
            unified.collect::<Option<BTreeMap<_, _>>>().map(Type::Object)
        }
        (Type::Set(one), Type::Set(other)) => Some(Type::Set(Box::new(unify_two(*one, other)?))),
        (one @ (Type::Tuple(_) | Type::List(_) | Type::Set(_)), Type::Tuple(_) | Type::List(_) | Type::Set(_)) => {
            Some(Type::List(Box::new(unify(elements(&one).into_iter().chain(elements(other)))?)))
        }
        (one @ (Type::Object(_) | Type::Map(_)), Type::Object(_) | Type::Map(_)) => {
            Some(Type::Map(Box::new(unify(elements(&one).into_iter().chain(elements(other)))?)))
        }
        _ => None,
    }
}

fn elements(collection: &Type) -> Vec<&Type> {
    match collection {
        Type::List(of) | Type::Set(of) | Type::Map(of) => vec![of],
        Type::Tuple(items) => items.iter().collect(),
        Type::Object(attributes) => attributes.values().map(|attribute| &attribute.of).collect(),
        _ => Vec::new(),
    }
}
