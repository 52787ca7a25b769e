//! The environment variables of the programs that the agent runs.

use std::collections::BTreeMap;

/// The directories in which programs are looked for.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the environment of every program. Nothing of the agent's own environment is passed on.
pub(crate) fn base() -> Vec<(String, String)> {
    [("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8"), ("TERM", "dumb")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Returns the variables of a step: the PACKER_ variables and the template's own, where a later one replaces an earlier
/// one of the same name.
pub(crate) fn step_variables(build_name: &str, own: Vec<(String, String)>) -> BTreeMap<String, String> {
    let packer = [("PACKER_BUILDER_TYPE", "amazon-chroot"), ("PACKER_BUILD_NAME", build_name)];
    packer.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().chain(own).collect()
}

/// Returns the environment of a program that has the variables of its step: [`base`], in which they replace those of
/// the same name, and the rest of them.
pub(crate) fn with_variables(variables: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut env: Vec<_> = base().into_iter().filter(|(key, _)| !variables.contains_key(key)).collect();
    env.extend(variables.iter().map(|(key, value)| (key.clone(), value.clone())));
    env
}

/// Quotes a word for a POSIX shell so that no character in it is special.
pub(crate) fn shell_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_of_the_template_replace_the_defaults() {
        let variables = step_variables("web", owned(&[("PATH", "/x"), ("A", "1"), ("A", "2")]));
        let env: Vec<_> = with_variables(&variables).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            env,
            [
                "HOME=/root",
                "LANG=C.UTF-8",
                "TERM=dumb",
                "A=2",
                "PACKER_BUILDER_TYPE=amazon-chroot",
                "PACKER_BUILD_NAME=web",
                "PATH=/x",
            ]
        );
    }

    #[test]
    fn a_quoted_word_is_one_word() {
        assert_eq!(shell_quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
