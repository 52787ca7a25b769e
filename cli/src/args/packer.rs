//! The arguments of commands that Packer has, too.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{flag, template::Variables};

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The template; `-` is standard input.
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// Packer's lines for programs on standard output: time, target, type, data.
    #[arg(long)]
    pub(crate) machine_readable: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Console {
    /// The template whose variables, locals and data sources can be used.
    pub(crate) template: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// The language if there is no template.
    #[arg(long, value_name = "LANGUAGE", default_value = "json", conflicts_with = "template")]
    pub(crate) config_type: ConfigType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigType {
    Json,
    Hcl2,
}

#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// Files, or directories whose `*.pkr.hcl` and `*.pkrvars.hcl` are meant; `-` is standard input.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Change nothing; end with status 3 if a file is to be changed.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) check: bool,
    /// Show the changes.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) diff: bool,
    /// Write the files.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true",
          value_name = "BOOL", value_parser = flag::parse)]
    pub(crate) write: bool,
    /// The directories below, too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) recursive: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Packer's lines for programs on standard output: time, target, type, data.
    #[arg(long)]
    pub(crate) machine_readable: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The template, or its directory.
    pub(crate) template: Option<PathBuf>,
    /// Accepted for Packer's sake: there are no plugins to bring up to date.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = flag::parse)]
    pub(crate) upgrade: bool,
    /// Accepted for Packer's sake: there are no plugins to install again.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = flag::parse)]
    pub(crate) force: bool,
}

/// Whatever follows a command that there is not.
#[derive(Debug, Args)]
pub(crate) struct Anything {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

/// `-on-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnErrorArg {
    /// Undo everything.
    Cleanup,
    /// Leave what was made.
    Abort,
    /// Ask on the terminal.
    Ask,
    /// Run the error-cleanup-provisioner, and leave what was made.
    RunCleanupProvisioner,
}
