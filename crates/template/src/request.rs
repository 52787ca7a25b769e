//! What is to be loaded, and what was loaded.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use bakehouse_protocol::{Access, BuildSpec};

use crate::{context::Context, diagnostic::Diagnostic, external::External};

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

/// A template in one file, as it was read.
pub(crate) struct TemplateText {
    /// Its name in messages.
    pub(crate) name: String,
    pub(crate) text: String,
    /// The directory that it is in; absolute.
    pub(crate) directory: PathBuf,
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
    /// `-only`: the builds to build, all if empty. A build is selected by its name, by its display name, or by its type
    /// and name with a dot between; `*` stands for any text.
    pub only: Vec<String>,
    /// `-except`: builds, and post-processors by their name or type, to leave out.
    pub except: Vec<String>,
    /// `-force`: sets `force_deregister` of every build.
    pub force: bool,
    /// Where secrets come from that the template names; absent: naming one is an error.
    pub external: Option<Arc<dyn External>>,
    /// Whether to warn of variables that are given but not declared.
    pub warn_undeclared: bool,
    /// Whether the data sources of HCL2 are left alone: what they say is unknown then.
    pub skip_data_sources: bool,
    /// What the template may know of its surroundings.
    pub context: Context,
}

impl LoadRequest {
    /// Returns a request for all builds of a template, without variables.
    pub fn new(template: TemplateSource, context: Context) -> Self {
        Self {
            template,
            vars: Vec::new(),
            var_files: Vec::new(),
            only: Vec::new(),
            except: Vec::new(),
            force: false,
            external: None,
            warn_undeclared: false,
            skip_data_sources: false,
            context,
        }
    }
}

/// A template that was loaded without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One for each builder that is built, in the template's order. Without [`LoadRequest::external`], one
    /// whose values depend on data sources is left out if it would not be valid with the values that stand for them.
    pub builds: Vec<BuildSpec>,
    /// For each of them, the access options of its builder. They are not in the spec because they hold secrets.
    pub access: Vec<Access>,
    /// The display names of the template's other builders: those that `-only` or `-except` leave out, and those of
    /// other types.
    pub skipped: Vec<String>,
    /// Warnings about what works but is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Values that must be masked in all output: those of `sensitive-variables`, `secret_key` and `token`,
    /// and what came from [`LoadRequest::external`].
    pub sensitive: Vec<String>,
    /// [`Context::run_uuid`].
    pub run_uuid: String,
    /// The names of the environment variables that it uses, whether they are set or not: with `env`, and in HCL those
    /// that set variables.
    pub environment: BTreeSet<String>,
    /// The files that an HCL template was read from: its own, its variable files, and those that its functions name;
    /// absolute paths. Loading it elsewhere needs them.
    pub files: BTreeSet<PathBuf>,
}
