//! The command that runs a script of a shell-local post-processor (packer-plugin-sdk: shell-local/run.go).

use std::collections::BTreeMap;

use bakehouse_gotemplate::Value;
use bakehouse_protocol::{
    Timestamp,
    spec::{InvalidFormat, ShellLocal},
};

use super::{
    error::PostError,
    run_data::{Fields, render},
};

/// Returns the program and its arguments. With neither `execute_command` nor `env_var_format` the script itself is run,
/// by a shell only as that also takes one without an interpreter's line: its variables are given to the process.
pub(super) fn command(
    shell: &ShellLocal,
    script: &str,
    variables: &BTreeMap<String, String>,
    fields: &Fields,
    now: Timestamp,
) -> Result<Vec<String>, PostError> {
    if shell.runs_scripts_directly() {
        return Ok(["/bin/sh", "-c", "exec \"$0\"", script].map(str::to_owned).to_vec());
    }
    let mut fields = fields.clone();
    let text = |value: &str| Value::String(value.to_owned());
    let variables = shell.variables_text(variables).map_err(|_| PostError::Render {
        what: "`env_var_format`".to_owned(),
        message: InvalidFormat::HINT.to_owned(),
    })?;
    fields.insert("Vars".to_owned(), text(&variables));
    fields.insert("Script".to_owned(), text(script));
    fields.insert("Command".to_owned(), text(script));
    shell.command(|word| render("`execute_command`", word, &fields, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::DeferredTemplate;

    fn shell(execute_command: &[&str], format: Option<&str>) -> ShellLocal {
        ShellLocal {
            execute_command: execute_command.iter().map(|text| DeferredTemplate((*text).to_owned())).collect(),
            env_var_format: format.map(str::to_owned),
            ..ShellLocal::default()
        }
    }

    fn try_run(execute_command: &[&str], format: Option<&str>) -> Result<Vec<String>, PostError> {
        let variables = [("B", "it's"), ("A", "%s")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        command(&shell(execute_command, format), "/tmp/s", &variables.into(), &Fields::new(), Timestamp(0))
    }

    fn run(execute_command: &[&str], format: Option<&str>) -> Vec<String> {
        try_run(execute_command, format).unwrap()
    }

    #[test]
    fn a_script_runs_itself_or_by_the_command_of_the_template() {
        assert_eq!(run(&[], None), ["/bin/sh", "-c", "exec \"$0\"", "/tmp/s"]);
        assert_eq!(
            run(&["bash", "-c", "{{.Vars}} {{.Script}}"], None),
            ["bash", "-c", r#"A='%s' B='it'"'"'s'  /tmp/s"#]
        );
        assert_eq!(run(&["{{.Vars}}. {{.Command}}"], Some("export %s=\"%s\"\n"))[..2], ["/bin/sh", "-c"]);
    }

    #[test]
    fn the_format_of_variables_can_be_set() {
        assert_eq!(run(&["x", "{{.Vars}}"], Some("%s=%s;"))[1], r#"A=%s;B=it'"'"'s;"#);
        assert_eq!(run(&["x", "{{.Vars}}"], Some("%s=%s%%"))[1], r#"A=%s%B=it'"'"'s%"#);
        assert_eq!(run(&[], Some("%s=%s;")), ["/bin/sh", "-c", r#"A=%s;B=it'"'"'s; /tmp/s"#]);
        let error = try_run(&[], Some("%d")).unwrap_err().to_string();
        assert!(error.starts_with("rendering `env_var_format`: write %s for the name"), "{error}");
    }
}
