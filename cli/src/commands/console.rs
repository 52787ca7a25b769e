//! `bakehouse console`: evaluates expressions, a line each, with what a template defines.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    path::Path,
};

use bakehouse_template::{Evaluated, Session, TemplateSource};
use rustyline::{DefaultEditor, error::ReadlineError};

use crate::{
    args::{ConfigType, Console},
    report::{CliError, Exit},
    templates, text,
};

const HELP: &str = "\
An expression is evaluated with what the template defines, and its value is shown. In HCL that is an expression such as
upper(var.name), with a JSON template a text such as {{user `name` | upper}}.

  variables   lists the variables, and in HCL the locals, with their values
  help        shows this
  exit        ends the console, as Control-D does";

pub(super) fn run(args: &Console, directory: &Path) -> Result<Exit, CliError> {
    templates::console(source(args)?, &args.variables, directory, |session| {
        if io::stdin().is_terminal() { interactive(session) } else { piped(session) }
    })?
}

fn source(args: &Console) -> Result<TemplateSource, CliError> {
    let text = |name: &str, text: &str| TemplateSource::Text { name: name.to_owned(), text: text.to_owned() };
    Ok(match (&args.template, args.config_type) {
        (Some(path), _) if path == Path::new("-") => {
            return Err(CliError::wrong("a console reads its expressions from standard input, not its template")
                .hint("name the template's file"));
        }
        (Some(path), _) => TemplateSource::Path(path.clone()),
        (None, ConfigType::Json) => text("console.json", "{\"builders\": [{\"type\": \"null\"}]}"),
        (None, ConfigType::Hcl2) => text("console.pkr.hcl", ""),
    })
}

/// What is to be done with a line.
enum Line {
    Exit,
    /// Show a text.
    Text(String),
    /// The line is an expression.
    Evaluated(Evaluated),
}

fn line(session: &dyn Session, line: &str) -> Line {
    match line.trim() {
        "" => Line::Text(String::new()),
        "exit" => Line::Exit,
        "help" => Line::Text(HELP.to_owned()),
        "variables" => Line::Text(session.variables()),
        expression => Line::Evaluated(session.evaluate(expression)),
    }
}

/// Evaluates all lines, and prints the last value: programs take it, as with Packer.
fn piped(session: &dyn Session) -> Result<Exit, CliError> {
    let (mut last, mut exit) = (String::new(), Exit::Done);
    for input in io::stdin().lock().lines() {
        let input = input.map_err(|error| CliError::wrong(format!("reading standard input: {error}")))?;
        match line(session, &input) {
            Line::Exit => break,
            Line::Text(text) => last = text,
            Line::Evaluated(Evaluated { text, diagnostics }) => {
                templates::print_about_expression(&diagnostics);
                if text.is_none() {
                    exit = Exit::Failed;
                }
                last = text.unwrap_or_default();
            }
        }
    }
    text::out(&last);
    Ok(exit)
}

/// Evaluates each line at once. A mistake ends nothing: the person sees it, and writes another line.
fn interactive(session: &dyn Session) -> Result<Exit, CliError> {
    let failed = |error: ReadlineError| CliError::wrong(format!("reading from the terminal: {error}"));
    let mut editor = DefaultEditor::new().map_err(failed)?;
    loop {
        let input = match editor.readline("> ") {
            Ok(input) => input,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(Exit::Done),
            Err(error) => return Err(failed(error)),
        };
        // A history that can't be kept is no reason to stop.
        let _ = editor.add_history_entry(&input);
        match line(session, &input) {
            Line::Exit => return Ok(Exit::Done),
            Line::Text(text) if text.is_empty() => {}
            Line::Text(text) => text::out(&text),
            Line::Evaluated(Evaluated { text, diagnostics }) => {
                templates::print_about_expression(&diagnostics);
                text.iter().for_each(|text| text::out(text));
            }
        }
    }
}
