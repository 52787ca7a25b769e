//! `bakehouse validate`.

use std::path::Path;

use crate::{
    args::Validate,
    machine_line,
    report::{CliError, Exit},
    templates::{self, ReadOptions},
    text,
};

pub(super) fn run(args: &Validate, directory: &Path) -> Result<Exit, CliError> {
    if args.syntax_only {
        let warnings = templates::check_syntax(&args.template, directory)?;
        print_valid(args, format!("The syntax of {} is valid", templates::name(&args.template)), warnings);
        return Ok(Exit::Done);
    }
    let options = ReadOptions {
        selection: Some(&args.selection),
        warn_undeclared: !args.no_warn_undeclared_var,
        skip_data_sources: !args.evaluate_datasources,
        ..ReadOptions::default()
    };
    let loaded = templates::read_with(&args.template, &args.variables, options, directory)?;
    let builders = text::count(loaded.builds.len(), "builder");
    print_valid(args, format!("{} is valid: {builders}", templates::name(&args.template)), loaded.warnings.len());
    Ok(Exit::Done)
}

fn print_valid(args: &Validate, mut line: String, warnings: usize) {
    if args.machine_readable {
        return machine_line::say("The configuration is valid.");
    }
    if warnings > 0 {
        line.push_str(&format!(", {}", text::count(warnings, "warning")));
    }
    text::out(&line);
}
