//! `shell-local`, the provisioner and the post-processor.

use bakehouse_hcl::nearest;
use bakehouse_protocol::{DeferredTemplate, spec::ShellLocal};

use super::step::Step;

/// The operating systems that `only_on` may name: Go's names.
const SYSTEMS: [&str; 6] = ["darwin", "freebsd", "linux", "openbsd", "solaris", "windows"];

/// Reads the options of `shell-local`. `None` after an error was reported, or if it is for other operating systems than
/// Linux.
pub(crate) fn shell_local(step: &Step<'_>) -> Option<ShellLocal> {
    let is_for_linux = step.is_for_linux();
    let scripts = step.scripts(&["command", "inline", "script", "scripts"], "shell-local");
    let environment = step.environment("environment_vars");
    let valid_exit_codes = step.exit_codes();
    let env_var_format = step.env_var_format();
    let mut execute_command: Vec<DeferredTemplate> =
        step.values.deferred_list("execute_command").unwrap_or_default().into_iter().map(|it| it.value).collect();
    if execute_command.len() == 1 {
        execute_command =
            ["sh", "-c"].map(|it| DeferredTemplate(it.to_owned())).into_iter().chain(execute_command).collect();
    }
    let scripts = scripts?;
    is_for_linux.then_some(ShellLocal {
        scripts: scripts.scripts,
        environment: environment?,
        valid_exit_codes,
        inline_shebang: scripts.inline_shebang,
        execute_command,
        env_var_format,
        tempfile_extension: step.text("tempfile_extension").unwrap_or_default(),
    })
}

impl Step<'_> {
    fn is_for_linux(&self) -> bool {
        let systems = self.values.string_list("only_on").unwrap_or_default();
        for system in systems.iter().filter(|system| !SYSTEMS.contains(&system.value.as_str())) {
            let near =
                nearest(&system.value, SYSTEMS).map_or(String::new(), |near| format!("Did you mean \"{near}\"? "));
            let message = format!("there is no operating system \"{}\"", system.value);
            self.error(&system.location, message, format!("{near}It must be one of {}.", SYSTEMS.join(", ")));
        }
        systems.is_empty() || systems.iter().any(|system| system.value == "linux")
    }
}
