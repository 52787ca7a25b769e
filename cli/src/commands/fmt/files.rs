//! The files that `fmt` formats.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::report::CliError;

/// How the names of files in HCL2 end.
const ENDINGS: [&str; 2] = [".pkr.hcl", ".pkrvars.hcl"];

/// Returns the files of these paths: each file itself, and those of each directory, and below it if `recursive`, sorted
/// by name.
pub(super) fn find(paths: &[PathBuf], recursive: bool) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        let failed = |error| CliError::wrong(format!("there is no {}: {error}", path.display()));
        if path == Path::new("-") {
            found.push(path.clone());
        } else if fs::metadata(path).map_err(failed)?.is_dir() {
            in_directory(path, recursive, &mut found)?;
        } else if is_hcl(path) {
            found.push(path.clone());
        } else {
            let message = format!("{} is not a file in HCL2", path.display());
            return Err(CliError::wrong(message).hint("their names end in .pkr.hcl or .pkrvars.hcl"));
        }
    }
    Ok(found)
}

fn in_directory(directory: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::wrong(format!("reading {}: {error}", directory.display()));
    let entries = fs::read_dir(directory).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| (entry.path(), entry.file_type())).collect();
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in paths {
        // A link to a directory is not followed: it may lead back.
        if kind.map_err(failed)?.is_dir() {
            if recursive {
                in_directory(&path, recursive, found)?;
            }
        } else if is_hcl(&path) {
            // `./` before a name says nothing.
            found.push(path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
        }
    }
    Ok(())
}

fn is_hcl(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_hcl2_are_found_in_order() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b")).unwrap();
        for name in ["z.pkr.hcl", "a.auto.pkrvars.hcl", "b/c.pkr.hcl", "t.json", "x.hcl"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = |recursive| {
            let found = find(&[dir.path().to_owned(), "-".into()], recursive).unwrap();
            let short = |path: PathBuf| path.strip_prefix(dir.path()).unwrap_or(&path).display().to_string();
            found.into_iter().map(short).collect::<Vec<_>>()
        };
        assert_eq!(found(false), ["a.auto.pkrvars.hcl", "z.pkr.hcl", "-"]);
        assert_eq!(found(true), ["a.auto.pkrvars.hcl", "b/c.pkr.hcl", "z.pkr.hcl", "-"]);
        assert!(find(&[dir.path().join("t.json")], false).is_err());
        assert!(find(&[dir.path().join("none.pkr.hcl")], false).is_err());
    }
}
