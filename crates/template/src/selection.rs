//! Which builds and post-processors `-only` and `-except` select.

use std::{cell::RefCell, collections::BTreeSet};

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    request::LoadRequest,
};

/// The patterns of `-only` and `-except`, in which `*` stands for any text and `?` for any one character.
pub(crate) struct Selection<'a> {
    only: Vec<&'a str>,
    except: Vec<&'a str>,
    /// The patterns that have matched something.
    used: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(request: &'a LoadRequest) -> Self {
        let patterns =
            |list: &'a [String]| list.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        Self { only: patterns(&request.only), except: patterns(&request.except), used: RefCell::default() }
    }

    /// Whether a build is to be built; `names` are those by which it may be selected.
    pub(crate) fn selects(&self, names: &[&str]) -> bool {
        let is_wanted = self.only.is_empty() || self.any(&self.only, names);
        let is_excluded = self.any(&self.except, names);
        is_wanted && !is_excluded
    }

    /// Whether `-except` leaves out a post-processor of this name.
    pub(crate) fn excludes(&self, name: &str) -> bool {
        self.any(&self.except, &[name])
    }

    /// Whether `-only` names a build itself, not by a pattern.
    pub(crate) fn asks_for(&self, names: &[&str]) -> bool {
        self.only.iter().any(|pattern| names.contains(pattern))
    }

    /// Warns of patterns that have matched nothing, and reports it if no build is left. `selected` is the number of
    /// builds that are, `known` the names of all.
    pub(crate) fn check(&self, selected: usize, known: &[String], diagnostics: &Diagnostics) {
        let options = self.only.iter().map(|it| ("-only", *it)).chain(self.except.iter().map(|it| ("-except", *it)));
        let unused = options.filter(|(_, pattern)| !self.used.borrow().contains(pattern));
        let help = format!("The builds are {}.", known.join(", "));
        for (option, pattern) in unused {
            let message = format!("{option}={pattern} matches nothing");
            diagnostics.add(Diagnostic::warning_without_location(message).help(help.clone()));
        }
        if selected == 0 && !(self.only.is_empty() && self.except.is_empty()) {
            let message = "no build is left after -only and -except";
            diagnostics.add(Diagnostic::without_location(message).help(help));
        }
    }

    /// Whether one of the patterns matches one of the names. Every pattern is tried, for [`Self::check`].
    fn any(&self, patterns: &[&'a str], names: &[&str]) -> bool {
        let mut count = 0;
        for pattern in patterns.iter().filter(|pattern| names.iter().any(|name| matches(pattern, name))) {
            self.used.borrow_mut().insert(pattern);
            count += 1;
        }
        count > 0
    }
}

/// Whether a pattern matches a whole text. Takes time in proportion to the product of their lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last `*` does not match: that `*` takes one character more.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("amazon-chroot", "amazon-chroot"),
            ("amazon-chroot.*", "amazon-chroot.web"),
            ("*", "base.amazon-chroot.web"),
            ("*.web", "base.amazon-chroot.web"),
            ("*a*b", "aabab"),
            ("w?b", "wéb"),
            ("**", ""),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("amazon-chroot", "amazon-chroot.web"), ("a*b", "abc"), ("?", ""), ("", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
