//! Patterns of file names: `*` and `?` within a name, `[a-z]`, `{a,b}`, and `**` for any number of directories.

use std::path::Path;

use regex::Regex;

use super::arguments::Arguments;
use crate::{error::Fault, scope::FileKind};

/// The deepest directory that is looked into.
const MAX_DEPTH: usize = 32;

/// A pattern, part by part: between slashes.
pub(super) struct Pattern(Vec<Part>);

enum Part {
    /// `**`
    Directories,
    /// `.` and `..`, which are no entries of a directory.
    Literal(String),
    Name(Regex),
}

impl Pattern {
    /// Parses a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = split(text).into_iter().filter(|part| !part.is_empty() && *part != ".").map(|part| match part {
            "**" => Ok(Part::Directories),
            ".." => Ok(Part::Literal(part.to_owned())),
            part => name(part).map(Part::Name),
        });
        parts.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the regular files below a directory that match, relative to it.
    pub(super) fn files(&self, directory: &Path, arguments: &Arguments<'_>) -> Result<Vec<String>, Fault> {
        let mut found = Vec::new();
        walk(&self.0, directory, "", 0, arguments, &mut found)?;
        Ok(found)
    }
}

/// Splits at the slashes that are not within braces.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0usize;
    text.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '/' && depth == 0
    })
    .collect()
}

fn name(part: &str) -> Result<Regex, String> {
    let mut expression = String::from("(?s)^");
    let mut chars = part.chars();
    let mut depth = 0usize;
    while let Some(c) = chars.next() {
        match c {
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' => {
                let rest = chars.as_str();
                let end = rest.char_indices().skip(1).find(|(_, c)| *c == ']').map(|(i, _)| i);
                let end = end.ok_or_else(|| format!("in the pattern {part:?}, a [ is not closed"))?;
                let (negated, set) = match rest[..end].strip_prefix(['^', '!']) {
                    Some(set) => ("^", set),
                    None => ("", &rest[..end]),
                };
                expression.push_str(&format!(
                    "[{negated}{}]",
                    set.replace('\\', "\\\\").replace('[', "\\[").replace('&', "\\&")
                ));
                chars = rest[end + 1..].chars();
            }
            '{' => {
                depth += 1;
                expression.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                expression.push(')');
            }
            ',' if depth > 0 => expression.push('|'),
            '\\' => expression.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            c => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    if depth > 0 {
        return Err(format!("in the pattern {part:?}, a {{ is not closed"));
    }
    expression.push('$');
    Regex::new(&expression).map_err(|_| format!("{part:?} is no pattern"))
}

fn walk(
    parts: &[Part],
    directory: &Path,
    relative: &str,
    depth: usize,
    arguments: &Arguments<'_>,
    found: &mut Vec<String>,
) -> Result<(), Fault> {
    let Some((first, rest)) = parts.split_first() else {
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Err(Fault::new(format!("{} is deeper than {MAX_DEPTH} directories", directory.display())));
    }
    let below = |name: &str| if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
    if let Part::Literal(name) = first {
        return walk(rest, &directory.join(name), &below(name), depth + 1, arguments, found);
    }
    if matches!(first, Part::Directories) {
        // No directory at all; at the end, whatever is here.
        walk(rest, directory, relative, depth + 1, arguments, found)?;
    }
    // What can't be listed has no files that match, as with Packer.
    for entry in arguments.outside.list_directory(directory).unwrap_or_default() {
        arguments.budget.spend(1 + entry.name.len() / 32)?;
        let (path, relative) = (directory.join(&entry.name), below(&entry.name));
        match (first, entry.kind) {
            (Part::Directories, FileKind::Directory) => walk(parts, &path, &relative, depth + 1, arguments, found)?,
            (Part::Directories, FileKind::File) if rest.is_empty() => found.push(relative),
            (Part::Name(name), kind) if name.is_match(&entry.name) => match kind {
                FileKind::File if rest.is_empty() => found.push(relative),
                FileKind::Directory if !rest.is_empty() => walk(rest, &path, &relative, depth + 1, arguments, found)?,
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}
