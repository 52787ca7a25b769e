//! The `shell` provisioner.

use bakehouse_protocol::spec::{Action, Shell, ShellOptions};

use super::step::Step;

/// Packer's default of `remote_folder`.
const REMOTE_FOLDER: &str = "/tmp";

impl Step<'_> {
    pub(super) fn shell(&self) -> Option<Action> {
        let scripts = self.scripts(&["inline", "script", "scripts"], "shell");
        let environment = self.environment("environment_vars");
        let valid_exit_codes = self.exit_codes();
        let mut options = self.shell_options();
        let scripts = scripts?;
        options.inline_shebang = scripts.inline_shebang;
        Some(Action::Shell(Shell { scripts: scripts.scripts, environment: environment?, valid_exit_codes, options }))
    }

    fn shell_options(&self) -> ShellOptions {
        let values = self.values;
        let remote_folder = self.path_in_image("remote_folder");
        ShellOptions {
            inline_shebang: None,
            execute_command: self.execute_command(),
            env_var_format: self.env_var_format(),
            use_env_var_file: values.flag("use_env_var_file"),
            remote_path: self.remote_path(remote_folder.as_deref().unwrap_or(REMOTE_FOLDER)),
            remote_folder,
            binary: values.flag("binary"),
            skip_clean: values.flag("skip_clean"),
            start_retry_timeout: values.duration("start_retry_timeout"),
            pause_after: values.duration("pause_after"),
        }
    }

    fn execute_command(&self) -> Option<bakehouse_protocol::DeferredTemplate> {
        let command = self.values.deferred("execute_command").filter(|command| !command.value.0.is_empty())?;
        if !command.value.0.contains(".Path") {
            let message = "`execute_command` does not contain {{.Path}}, so no script is run";
            self.warning(&command.location, message, "Write for instance \"chmod +x {{.Path}}; {{.Vars}} {{.Path}}\".");
        }
        Some(command.value)
    }

    /// Returns where the script is in the image, if the template says so.
    fn remote_path(&self, folder: &str) -> Option<String> {
        let file = self.values.string("remote_file");
        if let (Some(file), Some(_)) = (&file, self.values.location("remote_path")) {
            let message = "`remote_file` has no effect together with `remote_path`";
            self.warning(&file.location, message, "Remove one of the two.");
        }
        if let Some(path) = self.path_in_image("remote_path") {
            return Some(path);
        }
        let file = file?;
        if file.value.contains('/') {
            let message = format!("`remote_file` \"{}\" is not a file name", file.value);
            self.error(&file.location, message, "Write the directory as `remote_folder`.");
        }
        Some(format!("{}/{}", folder.trim_end_matches('/'), file.value))
    }
}
