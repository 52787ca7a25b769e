//! A function and how it is called.

use super::arguments::Arguments;
use crate::{error::Fault, value::Value};

/// A function.
pub(crate) struct Function {
    pub(super) name: &'static str,
    /// Its parameters as they are shown: `?` follows an optional one, `...` one that takes any number of arguments.
    parameters: &'static [&'static str],
    run: fn(&Arguments<'_>) -> Result<Value, Fault>,
}

impl Function {
    pub(super) const fn new(
        name: &'static str,
        parameters: &'static [&'static str],
        run: fn(&Arguments<'_>) -> Result<Value, Fault>,
    ) -> Self {
        Self { name, parameters, run }
    }

    /// Calls the function.
    pub(crate) fn call(&self, arguments: &Arguments<'_>) -> Result<Value, Fault> {
        let most = match self.parameters.last() {
            Some(last) if last.ends_with("...") => usize::MAX,
            _ => self.parameters.len(),
        };
        let least = self.parameters.iter().filter(|name| !name.ends_with("...") && !name.ends_with('?')).count();
        if !(least..=most).contains(&arguments.len()) {
            let given = arguments.len();
            return Err(Fault::new(format!("{given} argument{} given", if given == 1 { " is" } else { "s are" }))
                .help(format!("Write {}({}).", self.name, self.parameters.join(", "))));
        }
        arguments.spend()?;
        let result = (self.run)(arguments)?;
        arguments.budget.spend_value(&result)?;
        Ok(result)
    }
}
