//! Functions on texts.

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "upper", parameters: &["text"], run: upper },
    Function { name: "lower", parameters: &["text"], run: lower },
];

fn upper(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    Ok(arguments.text(0)?.to_uppercase().into())
}

fn lower(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    Ok(arguments.text(0)?.to_lowercase().into())
}
