//! `bakehouse fmt`: files in HCL2 in their canonical form.

mod files;

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use crate::{
    args::Fmt,
    report::{CliError, Exit},
    text,
};

pub(super) fn run(args: &Fmt) -> Result<Exit, CliError> {
    let mut worst = Exit::Done;
    for path in files::find(&args.paths, args.recursive)? {
        let ended = if path == Path::new("-") { format_stdin(args) } else { format_file(&path, args) };
        worst = worst.max(ended.unwrap_or_else(|error| {
            text::err(&error.render());
            error.exit()
        }));
    }
    Ok(worst)
}

fn format_stdin(args: &Fmt) -> Result<Exit, CliError> {
    let mut old = String::new();
    io::stdin()
        .read_to_string(&mut old)
        .map_err(|error| CliError::wrong(format!("reading standard input: {error}")))?;
    let new = format("standard input", &old)?;
    if args.write && !args.check {
        text::out_exactly(&new);
    }
    Ok(status(args, old == new))
}

fn format_file(path: &Path, args: &Fmt) -> Result<Exit, CliError> {
    let name = path.display().to_string();
    let failed = |what: &str, error: io::Error| CliError::wrong(format!("{what} {name}: {error}"));
    let old = fs::read_to_string(path).map_err(|error| failed("reading", error))?;
    let new = format(&name, &old)?;
    if old == new {
        return Ok(Exit::Done);
    }
    text::out(&name);
    if args.write && !args.check {
        fs::write(path, &new).map_err(|error| failed("writing", error))?;
    }
    if args.diff {
        text::out_exactly(&diff(&name, &old, &new));
    }
    Ok(status(args, false))
}

fn status(args: &Fmt, is_same: bool) -> Exit {
    if args.check && !is_same { Exit::Different } else { Exit::Done }
}

/// Returns a text in its canonical form. A mistake is told with its line and its column.
fn format(name: &str, old: &str) -> Result<String, CliError> {
    bakehouse_hcl::format(old).map_err(|error| {
        let before = old.get(..error.span.start).unwrap_or(old);
        let (line, column) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default());
        let message = format!("{name}:{line}:{}: {}", column.chars().count() + 1, error.message);
        let wrong = CliError::wrong(message);
        match error.help {
            Some(help) => wrong.hint(help),
            None => wrong,
        }
    })
}

/// Returns the changes as `diff -u` prints them, with the names that Packer gives the two files.
fn diff(name: &str, old: &str, new: &str) -> String {
    let diff = similar::TextDiff::from_lines(old, new);
    diff.unified_diff().header(&format!("old/{name}"), &format!("new/{name}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_as_diff_does() {
        insta::assert_snapshot!(diff("a.pkr.hcl", "a=1\nb = 2\n", "a = 1\nb = 2\n"), @r"
        --- old/a.pkr.hcl
        +++ new/a.pkr.hcl
        @@ -1,2 +1,2 @@
        -a=1
        +a = 1
         b = 2
        ");
    }

    #[test]
    fn a_mistake_has_its_line_and_column() {
        let error = format("a.pkr.hcl", "a = 1\nb = )\n").unwrap_err();
        assert!(error.message().starts_with("a.pkr.hcl:2:5: "), "{}", error.message());
        assert_eq!(error.exit(), Exit::Wrong);
    }
}
