//! `bakehouse validate`.

use std::path::Path;

use crate::{
    args::Validate,
    report::{CliError, Exit},
    templates, text,
};

pub(super) fn run(args: &Validate, directory: &Path) -> Result<Exit, CliError> {
    let loaded = templates::read(&args.template, &args.variables, directory)?;
    let mut line =
        format!("{} is valid: {}", templates::name(&args.template), text::count(loaded.builds.len(), "builder"));
    if !loaded.warnings.is_empty() {
        line.push_str(&format!(", {}", text::count(loaded.warnings.len(), "warning")));
    }
    text::out(&line);
    Ok(Exit::Done)
}
