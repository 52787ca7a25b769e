//! Paths: of the machine where a bundle is made, and in the bundle.

use std::path::{Component, Path};

/// Where a file of the machine stands in a bundle: without the leading slash, `.` and `..`. `None` if the path is not
/// UTF-8, or if nothing is left of it.
pub(crate) fn inside(path: &Path) -> Option<String> {
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

/// Whether a path of an archive is as [`inside`] writes them: relative, with nothing but names in it.
pub(crate) fn is_plain(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains('\0');
    path.len() < 4096 && path.split('/').all(is_name)
}

/// The directories above a path of an archive, the outermost first.
pub(crate) fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}
