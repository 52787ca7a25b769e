//! The command that runs a script of a shell-local post-processor (packer-plugin-sdk: shell-local/run.go).

use std::collections::BTreeMap;

use bakehouse_gotemplate::Value;
use bakehouse_protocol::{Timestamp, spec::ShellLocal};

use super::{
    error::PostError,
    run_data::{Fields, render},
};

/// `env_var_format` if the template sets none.
const VARIABLE_FORMAT: &str = "%s='%s' ";
/// `inline_shebang` if the template sets none.
const SHEBANG: &str = "/bin/sh -e";

/// Returns the text of an inline script.
pub(super) fn inline(shebang: Option<&str>, lines: &[String]) -> String {
    let has_own = shebang.is_none() && lines.first().is_some_and(|line| line.starts_with("#!"));
    let mut text = if has_own { String::new() } else { format!("#!{}\n", shebang.unwrap_or(SHEBANG)) };
    lines.iter().for_each(|line| {
        text.push_str(line);
        text.push('\n');
    });
    text
}

/// Returns the program and its arguments. Without `execute_command` the script itself is run, by a shell only as that
/// also takes one without an interpreter's line: its variables are given to the process.
pub(super) fn command(
    shell: &ShellLocal,
    script: &str,
    variables: &BTreeMap<String, String>,
    fields: &Fields,
    now: Timestamp,
) -> Result<Vec<String>, PostError> {
    if shell.execute_command.is_empty() {
        return Ok(["/bin/sh", "-c", "exec \"$0\"", script].map(str::to_owned).to_vec());
    }
    let mut fields = fields.clone();
    let text = |value: &str| Value::String(value.to_owned());
    fields.insert("Vars".to_owned(), text(&assignments(shell.env_var_format.as_deref(), variables)));
    fields.insert("Script".to_owned(), text(script));
    fields.insert("Command".to_owned(), text(script));
    let rendered = shell.execute_command.iter().map(|part| render("`execute_command`", part, &fields, now));
    let mut command = rendered.collect::<Result<Vec<_>, _>>()?;
    if command.len() == 1 {
        command.splice(0..0, ["sh".to_owned(), "-c".to_owned()]);
    }
    Ok(command)
}

/// Returns the variables as a shell takes them, sorted, each in the format.
fn assignments(format: Option<&str>, variables: &BTreeMap<String, String>) -> String {
    let format = format.unwrap_or(VARIABLE_FORMAT);
    let assignment = |(name, value): (&String, &String)| {
        let quoted = value.replace('\'', r#"'"'"'"#);
        // Split first: a name or a value may hold the mark itself.
        let mut parts = format.splitn(3, "%s");
        let parts = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
        format!("{}{name}{}{quoted}{}", parts[0], parts[1], parts[2])
    };
    variables.iter().map(assignment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::DeferredTemplate;

    fn shell(execute_command: &[&str], format: Option<&str>) -> ShellLocal {
        ShellLocal {
            scripts: Vec::new(),
            environment: Vec::new(),
            valid_exit_codes: Vec::new(),
            inline_shebang: None,
            execute_command: execute_command.iter().map(|text| DeferredTemplate((*text).to_owned())).collect(),
            env_var_format: format.map(str::to_owned),
            tempfile_extension: String::new(),
        }
    }

    fn run(execute_command: &[&str], format: Option<&str>) -> Vec<String> {
        let variables = [("B", "it's"), ("A", "%s")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        command(&shell(execute_command, format), "/tmp/s", &variables.into(), &Fields::new(), Timestamp(0)).unwrap()
    }

    #[test]
    fn a_script_runs_itself_or_by_the_command_of_the_template() {
        assert_eq!(run(&[], None), ["/bin/sh", "-c", "exec \"$0\"", "/tmp/s"]);
        assert_eq!(
            run(&["bash", "-c", "{{.Vars}} {{.Script}}"], None),
            ["bash", "-c", r#"A='%s' B='it'"'"'s'  /tmp/s"#]
        );
        assert_eq!(run(&["{{.Vars}}. {{.Command}}"], Some("export %s=\"%s\"\n"))[..2], ["sh", "-c"]);
    }

    #[test]
    fn the_format_of_variables_can_be_set() {
        assert_eq!(run(&["x", "{{.Vars}}"], Some("%s=%s;"))[1], r#"A=%s;B=it'"'"'s;"#);
    }

    #[test]
    fn an_inline_script_begins_with_its_interpreter() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(inline(None, &lines(&["a", "b"])), "#!/bin/sh -e\na\nb\n");
        assert_eq!(inline(Some("/bin/bash"), &lines(&["#!/bin/sh"])), "#!/bin/bash\n#!/bin/sh\n");
        assert_eq!(inline(None, &lines(&["#!/bin/sh", "a"])), "#!/bin/sh\na\n");
    }
}
