//! Finds the known name that a misspelled one was probably meant to be.

/// Longer names are not compared: they are not typing errors, and comparing them takes time.
const MAX_LENGTH: usize = 200;

/// How many known names are compared: a template may have thousands of variables, and of typing errors.
const MAX_CANDIDATES: usize = 500;

/// Returns the nearest of the known names, if one is near enough to have been meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .take(MAX_CANDIDATES)
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
