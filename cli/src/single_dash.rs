//! Accepts Packer's options with one dash, too.

use std::ffi::OsString;

/// The options that we share with Packer.
const SHARED: [&str; 5] = ["var", "var-file", "json", "help", "version"];

/// Adds a second dash to Packer's options. Arguments after `--` stay.
pub(crate) fn doubled(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut options = true;
    let double = |argument: OsString| {
        options &= argument != "--";
        match argument.to_str().and_then(|text| text.strip_prefix('-')) {
            Some(text) if options && SHARED.contains(&text.split('=').next().unwrap_or(text)) => {
                OsString::from(format!("--{text}"))
            }
            _ => argument,
        }
    };
    arguments.into_iter().map(double).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        let given = words("bakehouse build -var a=-var -var-file=x.json --var b=1 t.json");
        assert_eq!(doubled(given), words("bakehouse build --var a=-var --var-file=x.json --var b=1 t.json"));
    }

    #[test]
    fn other_dashes_stay() {
        let given = words("bakehouse build -h - -variable -- -var");
        assert_eq!(doubled(given.clone()), given);
    }
}
