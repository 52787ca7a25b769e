//! The text of scripts and of the commands that run them, as Packer has it. It is the same for provisioners, which the
//! agent runs, and for post-processors, which the command runs.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec, vec::Vec};

use super::{deferred::DeferredTemplate, step::ShellLocal};

/// Packer's `inline_shebang`.
const SHEBANG: &str = "/bin/sh -e";
/// Packer's `execute_command` of `shell-local`.
const EXECUTE_LOCAL: [&str; 3] = ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"];
/// Packer's `env_var_format`.
pub const ENV_VAR_FORMAT: &str = "%s='%s' ";

/// An `env_var_format` can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("env_var_format \"{format}\" can't be used")]
pub struct InvalidFormat {
    format: String,
}

impl InvalidFormat {
    /// What to write instead.
    pub const HINT: &str = "write %s for the name and %s for the value, as in \"%s='%s' \"; a % itself is %%";
}

/// Returns the script with these lines. As with Packer, there is no line with the interpreter if the first line is one.
/// `shebang` is `inline_shebang`.
pub fn inline_script(lines: &[String], shebang: Option<&str>) -> String {
    let has_own = shebang.is_none() && lines.first().is_some_and(|line| line.starts_with("#!"));
    let mut text = if has_own { String::new() } else { format!("#!{}\n", shebang.unwrap_or(SHEBANG)) };
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Returns the variables as text for a POSIX shell, as Packer does: `format` once for each, in the order of their
/// names, with the name for the first `%s` and the value for the second. A `'` in a value becomes `'"'"'`, so the `%s`
/// of the value must stand in single quotes.
///
/// # Errors
/// `format` has more than two `%s`, or a `%` with anything else than Go's `%v`, `%[1]s`, `%[2]s` and `%%`.
pub fn variables_as_shell_text(variables: &BTreeMap<String, String>, format: &str) -> Result<String, InvalidFormat> {
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
            text.push_str(inserted.ok_or_else(|| InvalidFormat { format: format.to_owned() })?);
            rest = after.get(length..).unwrap_or_default();
        }
        text.push_str(rest);
    }
    Ok(text)
}

impl ShellLocal {
    /// Whether a script is executed itself, with its variables in the environment: the template sets neither
    /// `execute_command` nor `env_var_format`.
    pub fn runs_scripts_directly(&self) -> bool {
        self.execute_command.is_empty() && self.env_var_format.is_none()
    }

    /// Returns the variables as `.Vars` of `execute_command`.
    ///
    /// # Errors
    /// `env_var_format` can't be used.
    pub fn variables_text(&self, variables: &BTreeMap<String, String>) -> Result<String, InvalidFormat> {
        variables_as_shell_text(variables, self.env_var_format.as_deref().unwrap_or(ENV_VAR_FORMAT))
    }

    /// Returns the program that runs a script, and its arguments: `execute_command`, each word as `render` returns it.
    ///
    /// # Errors
    /// Those of `render`.
    pub fn command<E>(&self, render: impl FnMut(&DeferredTemplate) -> Result<String, E>) -> Result<Vec<String>, E> {
        let default = EXECUTE_LOCAL.map(|word| DeferredTemplate(word.to_owned()));
        let words = if self.execute_command.is_empty() { &default[..] } else { &self.execute_command };
        let mut words = words.iter().map(render).collect::<Result<Vec<_>, E>>()?;
        // One word alone is a command line, as in templates of the time when this was no list.
        if let [line] = words.as_mut_slice() {
            words = vec!["/bin/sh".to_owned(), "-c".to_owned(), core::mem::take(line)];
        }
        Ok(words)
    }

    /// Returns the end of the name of an inline script's file: `tempfile_extension`, after a dot, or nothing.
    pub fn tempfile_suffix(&self) -> String {
        match self.tempfile_extension.trim_start_matches('.') {
            "" => String::new(),
            extension => format!(".{extension}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_script_begins_with_its_interpreter() {
        let script = |lines: &[&str], shebang| {
            inline_script(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), shebang)
        };
        assert_eq!(script(&["a", "b"], None), "#!/bin/sh -e\na\nb\n");
        assert_eq!(script(&["#!/bin/python", "b"], None), "#!/bin/python\nb\n");
        assert_eq!(script(&["#!/bin/python"], Some("/bin/bash -x")), "#!/bin/bash -x\n#!/bin/python\n");
    }

    #[test]
    fn variables_are_quoted_for_a_shell_as_packer_does() {
        let variables =
            [("B", "it's\n$x\t`y`"), ("A", "100% %s")].map(|(name, value)| (name.into(), value.into())).into();
        let text = |format| variables_as_shell_text(&variables, format).unwrap();
        assert_eq!(text("%s='%s' "), "A='100% %s' B='it'\"'\"'s\n$x\t`y`' ");
        assert_eq!(text("export %[1]s='%[2]s' # %%\n"), "export A='100% %s' # %\nexport B='it'\"'\"'s\n$x\t`y`' # %\n");
        for invalid in ["%d=%s", "%s=%s%s", "%"] {
            assert!(variables_as_shell_text(&variables, invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_local_script_is_run_as_the_template_says() {
        let command = |execute_command: &[&str]| {
            let execute_command = execute_command.iter().map(|word| DeferredTemplate((*word).to_owned())).collect();
            let shell = ShellLocal { execute_command, ..ShellLocal::default() };
            let render = |word: &DeferredTemplate| Ok::<_, ()>(word.0.replace("{{.Script}}", "/s"));
            shell.command(render).unwrap()
        };
        assert_eq!(command(&[]), ["/bin/sh", "-c", "{{.Vars}} /s"]);
        assert_eq!(command(&["bash", "{{.Script}}"]), ["bash", "/s"]);
        assert_eq!(command(&["{{.Script}} x"]), ["/bin/sh", "-c", "/s x"]);
    }

    #[test]
    fn an_extension_begins_with_one_dot() {
        let suffix = |extension: &str| {
            ShellLocal { tempfile_extension: extension.to_owned(), ..ShellLocal::default() }.tempfile_suffix()
        };
        assert_eq!(["sh", ".sh", ""].map(suffix), [".sh", ".sh", ""]);
    }
}
