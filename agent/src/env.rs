//! The environment of what runs in the image.

/// What everything that we run gets; nothing of the host's environment is passed on.
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

/// [`base`], the PACKER_ variables, and then the template's own, each of which may replace what came before.
pub(crate) fn of_step(build_name: &str, own: &[(String, String)]) -> Vec<(String, String)> {
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

/// A word for a POSIX shell, quoted so that nothing in it is special.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_own_variables_win() {
        let own = [("PATH", "/x"), ("A", "1"), ("A", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let env: Vec<_> = of_step("web", &own).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
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
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
