//! Takes the command line as Packer's users write it: options with one dash, and `-machine-readable` anywhere.

use std::ffi::OsString;

/// Our options of one letter, which may stand together: `-vv`.
const SHORT: &str = "vhVf";
/// The option that Packer takes before the verb, too.
const MACHINE_READABLE: &str = "--machine-readable";

/// Adds a second dash to options that have one, and moves `--machine-readable` behind the verb. Arguments after `--`
/// stay.
pub(crate) fn doubled(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut options = true;
    let double = |argument: OsString| {
        options &= argument != "--";
        match argument.to_str().and_then(|text| text.strip_prefix('-')) {
            Some(name) if options && is_long(name) => OsString::from(format!("--{name}")),
            _ => argument,
        }
    };
    let mut doubled: Vec<OsString> = arguments.into_iter().map(double).collect();
    let end = doubled.iter().position(|argument| argument == "--").unwrap_or(doubled.len());
    if let Some(at) = doubled[..end].iter().position(|argument| argument == MACHINE_READABLE) {
        let moved = doubled.remove(at);
        doubled.insert(end - 1, moved);
    }
    doubled
}

/// Whether what follows one dash is the name of a long option.
fn is_long(name: &str) -> bool {
    name.len() > 1 && !name.starts_with('-') && !name.chars().all(|letter| SHORT.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        let given = words("bakehouse build -var a=-var -var-file=x.json --var b=1 -only=a -color=false t.json");
        let wanted = words("bakehouse build --var a=-var --var-file=x.json --var b=1 --only=a --color=false t.json");
        assert_eq!(doubled(given), wanted);
    }

    #[test]
    fn other_dashes_stay() {
        let given = words("bakehouse logs -h -f -vv - -- -var -machine-readable");
        assert_eq!(doubled(given.clone()), given);
    }

    #[test]
    fn machine_readable_may_stand_anywhere() {
        for line in ["b -machine-readable build t.json", "b build --machine-readable t.json"] {
            assert_eq!(doubled(words(line)), words("b build t.json --machine-readable"), "{line}");
        }
        assert_eq!(doubled(words("b -machine-readable x -- y")), words("b x --machine-readable -- y"));
    }
}
