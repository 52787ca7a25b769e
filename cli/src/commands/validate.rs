//! `bakehouse validate`.

use std::path::Path;

use crate::{
    args::Validate,
    report::{Exit, Trouble},
    templates, text,
};

pub(super) fn run(asked: &Validate, here: &Path) -> Result<Exit, Trouble> {
    let loaded = templates::read(&asked.template, &asked.variables, here)?;
    let mut line =
        format!("{} is valid: {}", templates::name(&asked.template), text::count(loaded.builds.len(), "builder"));
    if !loaded.warnings.is_empty() {
        line.push_str(&format!(", {}", text::count(loaded.warnings.len(), "warning")));
    }
    text::out(&line);
    Ok(Exit::Done)
}
