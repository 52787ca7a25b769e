//! Errors as text.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::error::Error;

/// Returns an error and its causes in one line. A cause that the text before it repeats, as the AWS SDK's errors do, is
/// left out.
pub fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string().replace('\n', " ");
        match parts.last() {
            Some(last) if last.contains(&part) => {}
            _ => parts.push(part),
        }
        next = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<alloc::boxed::Box<Layer>>);

    #[test]
    fn causes_follow_what_they_caused() {
        let inner = Layer("no such file", None);
        let outer = Layer("reading web.json", Some(alloc::boxed::Box::new(inner)));
        assert_eq!(chain(&outer), "reading web.json: no such file");
    }

    #[test]
    fn a_chain_is_one_line_without_repetition() {
        let inner = Layer("connection reset", None);
        let middle = Layer("io error: connection reset", Some(alloc::boxed::Box::new(inner)));
        let outer = Layer("dispatch\nfailure", Some(alloc::boxed::Box::new(middle)));
        assert_eq!(chain(&outer), "dispatch failure: io error: connection reset");
    }
}
