//! Values that must not be shown.

use std::borrow::Cow;

/// What stands in place of a sensitive value.
const SHOWN: &str = "<sensitive>";

/// A line of a longer secret that is shorter than this says nothing, and hiding it would garble everything.
const SHORTEST_LINE: usize = 4;

/// Hides sensitive values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mask {
    /// Longest first, so that a value is not spoiled by one that it contains.
    hidden: Vec<String>,
}

impl Mask {
    /// Hides these values. Output comes line by line: of a value with several lines each one is hidden.
    pub(crate) fn new(sensitive: &[String]) -> Self {
        let mut hidden: Vec<String> = sensitive.iter().filter(|value| !value.is_empty()).cloned().collect();
        for value in sensitive.iter().filter(|value| value.contains('\n')) {
            hidden.extend(value.lines().filter(|line| line.len() >= SHORTEST_LINE).map(str::to_owned));
        }
        hidden.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        Self { hidden }
    }

    /// The text without them.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for value in &self.hidden {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), SHOWN));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(values: &[&str]) -> Mask {
        Mask::new(&values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_occurrence_is_hidden() {
        assert_eq!(mask(&["pw"]).apply("a pw, b pw"), "a <sensitive>, b <sensitive>");
        assert_eq!(mask(&[""]).apply("abc"), "abc");
    }

    #[test]
    fn a_value_inside_another_does_not_give_the_rest_away() {
        assert_eq!(mask(&["pass", "password"]).apply("x=password"), "x=<sensitive>");
    }

    #[test]
    fn each_line_of_a_key_is_hidden() {
        assert_eq!(mask(&["BEGIN\nabcd\n}\n"]).apply("now abcd }"), "now <sensitive> }");
    }
}
