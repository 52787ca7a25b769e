//! What is to be loaded, and what was loaded.

use std::{collections::BTreeSet, path::PathBuf};

use bakehouse_protocol::{Access, BuildSpec};

use crate::{context::Context, diagnostic::Diagnostic};

/// Where to read the template from.
#[derive(Clone, Debug)]
pub enum TemplateSource {
    /// A file, absolute or relative to the working directory.
    Path(PathBuf),
    /// A text, such as one from standard input, with a name.
    Text {
        /// Its name in messages.
        name: String,
        /// The template.
        text: String,
    },
}

/// A template to load, with its variables.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The template.
    pub template: TemplateSource,
    /// `-var`: names and values. Later ones override earlier ones, and all override the files.
    pub vars: Vec<(String, String)>,
    /// `-var-file`: absolute or relative to the working directory. Later ones override earlier ones, and all override
    /// the defaults.
    pub var_files: Vec<PathBuf>,
    /// What the template may know of its surroundings.
    pub context: Context,
}

/// A template that was loaded without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One for each builder, in the template's order.
    pub builds: Vec<BuildSpec>,
    /// For each of them, the access options of its builder. They are not in the spec because they hold secrets.
    pub access: Vec<Access>,
    /// Warnings about what works but is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Values that must be masked in all output: those of `sensitive-variables`, `secret_key` and `token`.
    pub sensitive: Vec<String>,
    /// The names of the environment variables that it uses with `env`, whether they are set or not.
    pub environment: BTreeSet<String>,
}
