//! `bakehouse inspect`: what is in a template, without evaluating it. The texts are Packer's.

use std::path::Path;

use bakehouse_template::{InspectedVariable, Inspection};

use crate::{
    args::Inspect,
    machine_line,
    report::{CliError, Exit},
    templates, text,
};

/// What is printed in place of a sensitive value.
const SENSITIVE: &str = "<sensitive>";

pub(super) fn run(args: &Inspect, directory: &Path) -> Result<Exit, CliError> {
    let inspection = templates::inspect(&args.template, &args.variables, directory)?;
    for line in lines(&inspection) {
        match line {
            Line::Text(line) if args.machine_readable => machine_line::say(&line),
            Line::Text(line) => text::out(&line),
            Line::Machine(kind, data) if args.machine_readable => {
                let data: Vec<&str> = data.iter().map(String::as_str).collect();
                machine_line::print("", kind, &data);
            }
            Line::Machine(..) => {}
        }
    }
    Ok(Exit::Done)
}

enum Line {
    /// For people, and a `ui` line for programs.
    Text(String),
    /// For programs only: the type and the data.
    Machine(&'static str, Vec<String>),
}

fn lines(inspection: &Inspection) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(description) = &inspection.description {
        lines.extend(["Description:\n".to_owned(), format!("{description}\n")].map(Line::Text));
    }
    variables(&inspection.variables, &mut lines);
    lines.push(Line::Text("\nBuilders:\n".to_owned()));
    let width = inspection.builders.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, kind) in &inspection.builders {
        lines.push(Line::Machine("template-builder", vec![name.clone(), kind.clone()]));
        let kind = if name == kind { String::new() } else { format!(" ({kind})") };
        lines.push(Line::Text(format!("  {name:<width$}{kind}").trim_end().to_owned()));
    }
    lines.push(Line::Text("\nProvisioners:\n".to_owned()));
    for kind in &inspection.provisioners {
        lines.push(Line::Machine("template-provisioner", vec![kind.clone()]));
        lines.push(Line::Text(format!("  {kind}")));
    }
    if inspection.provisioners.is_empty() {
        lines.push(Line::Text("  <No provisioners>".to_owned()));
    }
    if !inspection.post_processors.is_empty() {
        lines.push(Line::Text("\nPost-processors:\n".to_owned()));
        lines.extend(inspection.post_processors.iter().map(|kind| Line::Text(format!("  {kind}"))));
    }
    lines
}

fn variables(variables: &[InspectedVariable], lines: &mut Vec<Line>) {
    if variables.is_empty() {
        lines.extend(["Variables:\n", "  <No variables>"].map(|line| Line::Text(line.to_owned())));
        return;
    }
    let mut sorted: Vec<_> = variables.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let (required, optional): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|variable| variable.value.is_none());
    let row = |variable: &InspectedVariable| {
        let is_required = if variable.is_required { "1" } else { "0" };
        Line::Machine("template-variable", vec![variable.name.clone(), shown(variable), is_required.to_owned()])
    };
    if !required.is_empty() {
        lines.push(Line::Text("Required variables:\n".to_owned()));
        for variable in required {
            lines.extend([row(variable), Line::Text(format!("  {}", variable.name))]);
        }
        lines.push(Line::Text(String::new()));
    }
    lines.push(Line::Text("Optional variables and their defaults:\n".to_owned()));
    let width = optional.iter().map(|variable| variable.name.chars().count()).max().unwrap_or_default();
    for variable in optional {
        let text = format!("  {:<width$} = {}", variable.name, shown(variable));
        lines.extend([row(variable), Line::Text(text)]);
    }
}

/// Returns a variable's value as it may be shown.
fn shown(variable: &InspectedVariable) -> String {
    match &variable.value {
        Some(value) if variable.is_sensitive && !value.is_empty() => SENSITIVE.to_owned(),
        Some(value) => value.clone(),
        None => String::new(),
    }
}
