//! Errors, for people.

use alloc::string::{String, ToString};
use core::{error::Error, fmt::Write as _};

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string does not fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<alloc::boxed::Box<Layer>>);

    #[test]
    fn the_causes_stand_behind_what_they_caused() {
        let inner = Layer("no such file", None);
        let outer = Layer("reading web.json", Some(alloc::boxed::Box::new(inner)));
        assert_eq!(chain(&outer), "reading web.json: no such file");
    }
}
