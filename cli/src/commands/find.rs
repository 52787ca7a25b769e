//! Finds the build that an argument names.

use bakehouse_protocol::BuildId;

use crate::{build_source::BuildSource, report::CliError};

/// How many matches an error message lists.
const SHOWN: usize = 5;

/// Returns the build that the argument names: an id, an unambiguous beginning of one, or `last`.
pub(super) fn find(source: &dyn BuildSource, wanted: &str) -> Result<BuildId, CliError> {
    choose(&source.ids()?, wanted)
}

fn choose(ids: &[BuildId], wanted: &str) -> Result<BuildId, CliError> {
    if wanted.is_empty() {
        return Err(CliError::wrong("no build is named").hint("give an id, the beginning of one, or `last`"));
    }
    if wanted == "last" {
        let none = || CliError::wrong("there is no build yet");
        return ids.last().cloned().ok_or_else(none);
    }
    let begins = |id: &&BuildId| {
        let id = id.as_str();
        id.starts_with(wanted)
            || id.strip_prefix("b-").is_some_and(|rest| !wanted.is_empty() && rest.starts_with(wanted))
    };
    let found: Vec<&BuildId> = ids.iter().filter(begins).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(CliError::wrong(format!("there is no build {wanted}")).hint("`bakehouse ls` lists them")),
        several => {
            let mut names: Vec<&str> = several.iter().rev().take(SHOWN).map(|id| id.as_str()).collect();
            names.extend((several.len() > SHOWN).then_some("…"));
            let message = format!("{wanted} may be any of {} builds: {}", several.len(), names.join(", "));
            Err(CliError::wrong(message).hint("give more of the id; `bakehouse ls` lists them"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_found_by_any_beginning_that_only_it_has() {
        let ids = ["b-0a", "b-0b1", "b-0b2"].map(|id| BuildId::new(id).unwrap());
        let found = |wanted| choose(&ids, wanted).map(|id| id.to_string()).map_err(|error| error.render());
        assert_eq!(found("b-0a").unwrap(), "b-0a");
        assert_eq!(found("0a").unwrap(), "b-0a");
        assert_eq!(found("last").unwrap(), "b-0b2");
        assert!(found("b-0b").unwrap_err().contains("b-0b2, b-0b1"));
        assert!(found("").unwrap_err().contains("no build is named"));
        assert!(found("x").unwrap_err().contains("there is no build x"));
        assert!(choose(&[], "last").is_err());
    }
}
