//! The environment variables of the programs that the agent runs.

/// Returns the environment of every program. Nothing of the agent's own environment is passed on.
pub(crate) fn base() -> Vec<(String, String)> {
    [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Returns the environment of a step: [`base`], the PACKER_ variables, and the template's own, where later ones replace
/// earlier ones of the same name.
pub(crate) fn for_step(build_name: &str, own: &[(String, String)]) -> Vec<(String, String)> {
    let mut env = base();
    let packer = [("PACKER_BUILDER_TYPE", "amazon-chroot"), ("PACKER_BUILD_NAME", build_name)];
    let packer = packer.map(|(key, value)| (key.to_owned(), value.to_owned()));
    for (key, value) in packer.iter().chain(own) {
        match env.iter_mut().find(|(known, _)| known == key) {
            Some(entry) => entry.1.clone_from(value),
            None => env.push((key.clone(), value.clone())),
        }
    }
    env
}

/// Quotes a word for a POSIX shell so that no character in it is special.
pub(crate) fn shell_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_template_replace_the_defaults() {
        let own = [("PATH", "/x"), ("A", "1"), ("A", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let env: Vec<_> = for_step("web", &own).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            env,
            [
                "PATH=/x",
                "HOME=/root",
                "LANG=C.UTF-8",
                "TERM=dumb",
                "PACKER_BUILDER_TYPE=amazon-chroot",
                "PACKER_BUILD_NAME=web",
                "A=2",
            ]
        );
    }

    #[test]
    fn a_quoted_word_is_one_word() {
        assert_eq!(shell_quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
