//! Constraints on Packer's version: `>= 1.8.0, < 2.0.0`.

use crate::packer;

/// Whether the version of Packer whose templates are read satisfies a list of constraints, all of which must hold.
///
/// # Errors
/// The part that is no constraint.
pub(super) fn is_satisfied(constraints: &str) -> Result<bool, String> {
    let mut holds = true;
    for constraint in constraints.split(',').map(str::trim) {
        holds &= one(constraint).ok_or_else(|| format!("\"{constraint}\" is not a constraint on a version"))?;
    }
    Ok(holds)
}

fn one(constraint: &str) -> Option<bool> {
    let start = constraint.find(|c: char| c.is_ascii_digit() || c == 'v')?;
    let (operator, version) = constraint.split_at(start);
    // A pre-release or build metadata does not matter here: the version compared with has neither.
    let version = version.trim_start_matches('v').split(['-', '+']).next()?;
    let parts: Vec<u64> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    if parts.len() > 3 {
        return None;
    }
    let wanted: Vec<u64> = parts.iter().copied().chain(std::iter::repeat(0)).take(3).collect();
    let (ours, wanted) = (&packer::VERSION[..], wanted.as_slice());
    Some(match operator.trim() {
        "" | "=" => ours == wanted,
        "!=" => ours != wanted,
        ">" => ours > wanted,
        ">=" => ours >= wanted,
        "<" => ours < wanted,
        "<=" => ours <= wanted,
        // All parts but the last are as given, and the last is at least as given.
        "~>" => {
            let fixed = parts.len().saturating_sub(1).max(1);
            ours[..fixed] == wanted[..fixed] && ours >= wanted
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_hold_as_in_packer() {
        for (constraints, holds) in [
            (">= 1.8.0, < 2.0.0", true),
            ("1.16.0", true),
            ("= 1.16", true),
            ("~> 1.8", true),
            ("~> 1.8.0", false),
            ("~> 1.16.0", true),
            ("~> 2", false),
            (">1.16.0", false),
            (">= v1.7.0-beta1", true),
            ("!= 1.16.0", false),
            ("<= 1.15.9", false),
        ] {
            assert_eq!(is_satisfied(constraints), Ok(holds), "{constraints}");
        }
        for wrong in ["", "latest", ">> 1", "1.2.3.4", "1.x"] {
            assert!(is_satisfied(wrong).is_err(), "{wrong}");
        }
    }
}
