//! Finds the known name that a misspelled one was probably meant to be.

/// Longer names are not compared: they are not typing errors, and comparing them takes time.
const MAX_LENGTH: usize = 200;

/// How many known names are compared: a template may have thousands of names, and of typing errors.
const MAX_CANDIDATES: usize = 500;

/// Returns the nearest of the known names, if one is near enough to have been meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .take(MAX_CANDIDATES)
        .map(|candidate| (similarity(&name, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Returns how similar two names are, from 0 to 1. Two exchanged letters are near in short names, too.
fn similarity(name: &str, candidate: &str) -> f64 {
    let similarity = strsim::jaro_winkler(name, candidate);
    if name.len() > 2 && strsim::osa_distance(name, candidate) == 1 { similarity.max(0.9) } else { similarity }
}

/// Returns the help for an unknown name: the nearest known one, else what is known (at most ten names).
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(name, known.clone()) {
        return Some(format!("Did you mean {near}?"));
    }
    let names: Vec<&str> = known.into_iter().take(11).collect();
    match names.len() {
        0 | 11 => None,
        _ => Some(format!("There is {}.", names.join(", "))),
    }
}
