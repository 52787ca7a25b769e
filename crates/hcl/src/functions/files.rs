//! Files of the machine that reads the template, through [`Outside`](crate::Outside).

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{arguments::Arguments, function::Function, glob};
use crate::{error::Fault, scope::FileKind, value::Value};

type Result<T> = std::result::Result<T, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abspath", &["path"], |a| shown(&clean(&a.outside.working_directory().join(&*a.text(0)?)))),
    Function::new("basename", &["path"], |a| Ok(base(&a.text(0)?).into())),
    Function::new("dirname", &["path"], |a| shown(&directory(&a.text(0)?))),
    Function::new("file", &["path"], |a| Ok(text_of_file(a, 0)?.into())),
    Function::new("filebase64", &["path"], |a| {
        let path = a.outside.working_directory().join(&*a.text(0)?);
        Ok(BASE64.encode(read(a, 0, &path)?).into())
    }),
    Function::new("fileexists", &["path"], fileexists),
    Function::new("fileset", &["directory", "pattern"], fileset),
    Function::new("pathexpand", &["path"], |a| shown(&expanded(a, 0)?)),
];

fn shown(path: &Path) -> Result<Value> {
    match path.to_str() {
        Some(path) => Ok(path.into()),
        None => Err(Fault::new(format!("the path {} is no text in UTF-8", path.display()))),
    }
}

/// Returns the text of the file that an argument names, as `file` reads it.
pub(crate) fn text_of_file(arguments: &Arguments<'_>, index: usize) -> Result<String> {
    let path = in_template_directory(arguments, index)?;
    String::from_utf8(read(arguments, index, &path)?).map_err(|_| {
        Fault::new(format!("the file {} is no text in UTF-8", path.display()))
            .help("Use filebase64 for other files; its paths are relative to the working directory.")
            .argument(index)
    })
}

fn read(arguments: &Arguments<'_>, index: usize, path: &Path) -> Result<Vec<u8>> {
    let bytes = arguments
        .outside
        .read_file(path)
        .map_err(|error| Fault::new(format!("the file {} cannot be read: {error}", path.display())).argument(index))?;
    arguments.budget.spend_text(bytes.len())?;
    Ok(bytes)
}

fn in_template_directory(arguments: &Arguments<'_>, index: usize) -> Result<PathBuf> {
    Ok(clean(&arguments.outside.template_directory().join(expanded(arguments, index)?)))
}

/// Returns a path with the home directory in place of a `~` at its start.
fn expanded(arguments: &Arguments<'_>, index: usize) -> Result<PathBuf> {
    let path = arguments.text(index)?;
    let Some(rest) = path.strip_prefix('~') else {
        return Ok(PathBuf::from(&*path));
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(Fault::new("the home directories of other users are not supported").argument(index));
    }
    let home = arguments
        .outside
        .home_directory()
        .ok_or_else(|| Fault::new("the home directory is unknown").argument(index))?;
    Ok(home.join(rest.trim_start_matches('/')))
}

fn fileexists(arguments: &Arguments<'_>) -> Result<Value> {
    let path = in_template_directory(arguments, 0)?;
    match arguments.outside.file_kind(&path) {
        Ok(FileKind::File) => Ok(true.into()),
        Ok(FileKind::Directory) => Err(Fault::new(format!("{} is a directory", path.display())).argument(0)),
        Ok(FileKind::Other) => Err(Fault::new(format!("{} is no regular file", path.display())).argument(0)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false.into())
        }
        Err(error) => Err(Fault::new(format!("{} cannot be examined: {error}", path.display())).argument(0)),
    }
}

/// Returns the regular files that the pattern matches, relative to the directory, sorted.
fn fileset(arguments: &Arguments<'_>) -> Result<Value> {
    let directory = clean(&arguments.outside.template_directory().join(&*arguments.text(0)?));
    let pattern = arguments.text(1)?;
    let pattern = glob::Pattern::parse(&pattern).map_err(|error| Fault::new(error).argument(1))?;
    let mut found = pattern.files(&directory, arguments)?;
    found.sort();
    found.dedup();
    Ok(found.into_iter().map(Value::String).collect::<Vec<_>>().into())
}

/// Returns a path without `.`, `..` and double slashes, as Go's `filepath.Clean`: without looking at the disk.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match clean.components().next_back() {
                Some(Component::Normal(_)) => {
                    clean.pop();
                }
                Some(Component::RootDir) => {}
                _ => clean.push(".."),
            },
            other => clean.push(other),
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

/// Returns the last part of a path, as Go's `filepath.Base`.
fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        _ if path.is_empty() => ".",
        Some("") | None => "/",
        Some(name) => name,
    }
}

/// Returns all but the last part of a path, as Go's `filepath.Dir`.
fn directory(path: &str) -> PathBuf {
    let end = path.rfind('/').map_or(0, |slash| slash + 1);
    clean(Path::new(&path[..end]))
}
