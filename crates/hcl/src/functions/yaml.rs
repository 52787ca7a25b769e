//! YAML: how plain texts are read, and the two functions.

use super::{arguments::Arguments, function::Function, yaml_reader, yaml_writer};
use crate::error::Fault;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("yamldecode", &["text"], |a| {
        let text = a.text(0)?;
        a.budget.spend(text.len() / 4)?;
        yaml_reader::decode(&text, a.budget).map_err(|fault| fault.argument(0))
    }),
    Function::new("yamlencode", &["value"], |a: &Arguments<'_>| {
        a.budget.spend_value(a.value(0))?;
        Ok::<_, Fault>(yaml_writer::encode(a.value(0))?.into())
    }),
];
