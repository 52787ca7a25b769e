//! The steps of a build: the provisioners of the template.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{
    ansible::{Ansible, AnsibleLocal, Galaxy},
    deferred::DeferredTemplate,
    file::SourceFile,
};
use crate::time::Millis;

/// See [`BuildSpec::host_access`].
pub fn host_access<'a>(
    provisioners: impl Iterator<Item = &'a Provisioner> + Clone,
) -> impl Iterator<Item = &'static str> {
    let uses = |on_host: fn(&Action) -> bool| provisioners.clone().any(|step| on_host(&step.action));
    [
        uses(|action| matches!(action, Action::Download(_))).then_some("the file provisioner's direction \"download\""),
        uses(|action| matches!(action, Action::Upload(upload) if upload.generated))
            .then_some("the file provisioner's `generated`"),
        uses(|action| matches!(action, Action::ShellLocal(_))).then_some("the shell-local provisioner"),
        uses(|action| matches!(action, Action::Ansible(_))).then_some("the ansible provisioner"),
    ]
    .into_iter()
    .flatten()
}

/// Defines a method that returns the files of the build host that a step reads, by a shared reference or a `mut` one.
macro_rules! source_files {
    ($name:ident $(, $mut:tt)?) => {
        /// Returns the files of the build host that the step reads.
        pub fn $name(&$($mut)? self) -> Vec<&$($mut)? SourceFile> {
            let mut files = Vec::new();
            match &$($mut)? self.action {
                Action::Shell(Shell { scripts, .. }) | Action::ShellLocal(ShellLocal { scripts, .. }) => {
                    for script in scripts {
                        match script {
                            Script::File(file) => files.push(file),
                            Script::Inline(_) => {}
                        }
                    }
                }
                Action::Upload(Upload { generated: true, .. }) => {}
                Action::Upload(Upload { sources, .. }) => files.extend(sources),
                Action::Ansible(Ansible { playbook, inventory, inventory_directory, galaxy, .. }) => {
                    files.push(playbook);
                    files.extend(inventory);
                    files.extend(inventory_directory);
                    files.extend(galaxy.into_iter().map(|Galaxy { file, .. }| file));
                }
                Action::AnsibleLocal(AnsibleLocal {
                    playbooks,
                    playbook_dir,
                    playbook_paths,
                    role_paths,
                    collection_paths,
                    group_vars,
                    host_vars,
                    inventory,
                    galaxy,
                    ..
                }) => {
                    [playbooks, playbook_paths, role_paths, collection_paths].into_iter().for_each(|list| files.extend(list));
                    [playbook_dir, group_vars, host_vars, inventory].into_iter().for_each(|file| files.extend(file));
                    files.extend(galaxy.into_iter().map(|Galaxy { file, .. }| file));
                }
                Action::Download(_) | Action::Breakpoint(_) | Action::Sleep(_) => {}
            }
            files
        }
    };
}

/// One step: a provisioner of the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioner {
    /// How long to wait before each attempt.
    pub pause_before: Option<Millis>,
    /// The timeout of one attempt, the pause not included.
    pub timeout: Option<Millis>,
    /// How many times to retry after a failure.
    pub max_retries: u32,
    /// `continue_on_error`: the build goes on if the step fails after its retries.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub continue_on_error: bool,
    /// What to do.
    pub action: Action,
}

impl Provisioner {
    /// Returns a step that does this once, without a pause or a time-out.
    pub fn new(action: Action) -> Self {
        Self { pause_before: None, timeout: None, max_retries: 0, continue_on_error: false, action }
    }

    /// Whether it runs commands on the build host.
    pub fn runs_on_host(&self) -> bool {
        matches!(self.action, Action::ShellLocal(_) | Action::Ansible(_))
    }

    source_files!(source_files);
    source_files!(source_files_mut, mut);
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `shell`.
    Shell(Shell),
    /// `file` with direction `upload`.
    Upload(Upload),
    /// `file` with direction `download`.
    Download(Download),
    /// `shell-local`.
    ShellLocal(ShellLocal),
    /// `ansible`: runs on the build host, with the image as its target over the chroot connection.
    Ansible(Ansible),
    /// `ansible-local`: runs inside the image.
    AnsibleLocal(AnsibleLocal),
    /// `breakpoint`: waits for Enter.
    Breakpoint(Breakpoint),
    /// `sleep`: waits.
    Sleep(Millis),
}

/// `shell`: scripts run inside the image, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shell {
    /// The scripts.
    pub scripts: Vec<Script>,
    /// `environment_vars` in order, then `env`, which overrides; the values may use the fields of [`crate::RunData`].
    pub environment: Vec<(String, DeferredTemplate)>,
    /// `valid_exit_codes`.
    pub valid_exit_codes: Vec<i32>,
    /// How the scripts are uploaded and started.
    #[serde(default)]
    pub options: ShellOptions,
}

/// How the scripts of a `shell` step are uploaded and started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShellOptions {
    /// `inline_shebang`, without `#!`; absent: `/bin/sh -e`.
    pub inline_shebang: Option<String>,
    /// `execute_command`; may use `.Vars`, `.Path`, `.EnvVarFile` and the fields of [`crate::RunData`]. Absent: the
    /// script is run as it is.
    pub execute_command: Option<DeferredTemplate>,
    /// `env_var_format`, with two `%s`; absent: `%s='%s' `, or `export %s='%s'` with a line break for a file.
    pub env_var_format: Option<String>,
    /// `use_env_var_file`: the variables are uploaded as a file, `.EnvVarFile`.
    pub use_env_var_file: bool,
    /// `remote_path`, or `remote_folder` and `remote_file`: where the script is in the image; absent: a name of its own
    /// in `/tmp`.
    pub remote_path: Option<String>,
    /// `remote_folder`: the directory of the file with variables, and of the script unless `remote_path` is set;
    /// absent: `/tmp`.
    pub remote_folder: Option<String>,
    /// `binary`: line ends are left as they are.
    pub binary: bool,
    /// `skip_clean`: the script stays in the image.
    pub skip_clean: bool,
    /// `start_retry_timeout`: how long uploading and starting a script is retried; absent: five minutes.
    pub start_retry_timeout: Option<Millis>,
    /// `pause_after`.
    pub pause_after: Option<Millis>,
}

/// One script of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// `inline`: these lines, run by `/bin/sh -e`.
    Inline(Vec<DeferredTemplate>),
    /// `script`, `scripts`: a file of the build host.
    File(SourceFile),
}

/// `shell-local`: scripts run on the build host, in the working directory of the template's reader, with the image
/// mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellLocal {
    /// The scripts; `command` is one with one line.
    pub scripts: Vec<Script>,
    /// `environment_vars` in order, then `env`.
    pub environment: Vec<(String, DeferredTemplate)>,
    /// `valid_exit_codes`.
    pub valid_exit_codes: Vec<i32>,
    /// `inline_shebang`, without `#!`; absent: `/bin/sh -e`.
    pub inline_shebang: Option<String>,
    /// `execute_command`; may use `.Vars`, `.Script`, `.Command` and the fields of [`crate::RunData`]. Empty: the
    /// script is run as it is, or as with Packer if `env_var_format` is set.
    pub execute_command: Vec<DeferredTemplate>,
    /// `env_var_format`; absent: [`ENV_VAR_FORMAT`](super::ENV_VAR_FORMAT).
    pub env_var_format: Option<String>,
    /// `tempfile_extension` of an inline script.
    pub tempfile_extension: String,
}

/// `breakpoint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakpoint {
    /// `note`.
    pub note: String,
}

/// `file`, upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// `source`, `sources`: files or directories.
    pub sources: Vec<SourceFile>,
    /// `content`: the text of the file, instead of sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// `generated`: the sources are made by earlier steps, and are looked for when the step runs.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub generated: bool,
    /// `destination` in the image.
    pub destination: DeferredTemplate,
}

/// `file`, download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// `source`, `sources`: files in the image.
    pub sources: Vec<DeferredTemplate>,
    /// `destination`: an absolute path on the build host. A trailing `/` means: into this directory.
    pub destination: String,
}
