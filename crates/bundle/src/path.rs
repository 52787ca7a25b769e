//! Paths in a bundle.

use std::path::{Component, Path};

/// Returns the path in a bundle of a file of the machine where the bundle is made: without the leading slash, `.` and
/// `..`. `None` if the path is not UTF-8, or if nothing is left of it.
pub fn path_in_bundle(path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Whether a path of an archive is as [`path_in_bundle`] returns them: relative, with nothing but names in it.
pub(crate) fn is_normalized(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains('\0');
    path.len() < 4096 && path.split('/').all(is_name)
}

/// Returns the directories above a path of an archive, the outermost first.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}
