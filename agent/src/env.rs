//! The environment variables of the programs that the agent runs.

use std::collections::BTreeMap;

use crate::error::JobError;

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

/// Returns the variables as text for a POSIX shell, as Packer does: `format` once for each, in the order of their
/// names, with the name for the first `%s` and the value for the second. A `'` in a value becomes `'"'"'`, so the `%s`
/// of the value must stand in single quotes.
pub(crate) fn as_shell_text(variables: &BTreeMap<String, String>, format: &str) -> Result<String, JobError> {
    let mut text = String::new();
    for (name, value) in variables {
        let value = value.replace('\'', r#"'"'"'"#);
        let mut arguments = [name.as_str(), value.as_str()].into_iter();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            let (inserted, length) = match after.as_bytes() {
                [b's' | b'v', ..] => (arguments.next(), 1),
                [b'%', ..] => (Some("%"), 1),
                [b'[', b'1', b']', b's' | b'v', ..] => (Some(name.as_str()), 4),
                [b'[', b'2', b']', b's' | b'v', ..] => (Some(value.as_str()), 4),
                _ => (None, 0),
            };
            text.push_str(inserted.ok_or_else(|| invalid_format(format))?);
            rest = after.get(length..).unwrap_or_default();
        }
        text.push_str(rest);
    }
    Ok(text)
}

fn invalid_format(format: &str) -> JobError {
    JobError::with_hint(
        format!("env_var_format \"{format}\" can't be used"),
        "write %s for the name and %s for the value, as in \"%s='%s' \"; a % itself is %%",
    )
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
    fn variables_are_quoted_for_a_shell_as_packer_does() {
        let variables = owned(&[("B", "it's\n$x\t`y`"), ("A", "100% %s")]).into_iter().collect();
        let text = |format| as_shell_text(&variables, format).unwrap();
        assert_eq!(text("%s='%s' "), "A='100% %s' B='it'\"'\"'s\n$x\t`y`' ");
        assert_eq!(text("export %[1]s='%[2]s' # %%\n"), "export A='100% %s' # %\nexport B='it'\"'\"'s\n$x\t`y`' # %\n");
        for invalid in ["%d=%s", "%s=%s%s", "%"] {
            assert!(as_shell_text(&variables, invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_quoted_word_is_one_word() {
        assert_eq!(shell_quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
