//! The functions and late fields of templates: which there are, and where each may stand.

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Variable,
    Builder,
    Provisioner,
}

impl Site {
    fn words(self) -> &'static str {
        match self {
            Self::Variable => "the value of a variable",
            Self::Builder => "a builder",
            Self::Provisioner => "a provisioner",
        }
    }
}

/// One of Packer's functions.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Where it may stand; nowhere: Bakehouse does not do it yet.
    sites: &'static [Site],
    /// What to write if it stands elsewhere.
    help: &'static str,
}

const ALL: &[Site] = &[Site::Variable, Site::Builder, Site::Provisioner];
const BUILDS: &[Site] = &[Site::Builder, Site::Provisioner];

const fn everywhere(name: &'static str) -> Function {
    Function { name, sites: ALL, help: "" }
}

const fn only(name: &'static str, sites: &'static [Site], help: &'static str) -> Function {
    Function { name, sites, help }
}

/// All of Packer's functions for JSON templates.
pub(crate) const FUNCTIONS: &[Function] = &[
    everywhere("timestamp"),
    everywhere("isotime"),
    everywhere("strftime"),
    everywhere("uuid"),
    everywhere("user"),
    everywhere("upper"),
    everywhere("lower"),
    everywhere("split"),
    everywhere("replace"),
    everywhere("replace_all"),
    everywhere("template_dir"),
    everywhere("pwd"),
    only(
        "env",
        &[Site::Variable],
        "Set a variable with it, \"variables\": {\"name\": \"{{env `NAME`}}\"}, and write {{user `name`}} here.",
    ),
    only("build", &[Site::Provisioner], "In a builder, write the field itself: {{.SourceAMI}}"),
    only("build_name", BUILDS, "The name of the build is not known yet when variables are read."),
    only("build_type", BUILDS, "The type of the build is not known yet when variables are read."),
    only("clean_resource_name", &[Site::Builder], "Write {{replace_all \":\" \"-\" …}} here."),
    only("packer_version", &[], "Write the version itself."),
    only("vault", &[], "Read the secret before the build and give it with -var."),
    only("consul_key", &[], "Read the value before the build and give it with -var."),
    only("aws_secretsmanager", &[], "Read the secret before the build and give it with -var."),
    only("aws_secretsmanager_raw", &[], "Read the secret before the build and give it with -var."),
    only(
        "sed",
        &[],
        "Packer has given it up too. Write {{replace old new count text}} or {{replace_all old new text}}.",
    ),
];

/// Why a function may not be called there: the message and what to do about it.
pub(crate) fn check_function(name: &str, site: Site) -> Result<(), (String, Option<String>)> {
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
        let near = crate::nearest::nearest(name, FUNCTIONS.iter().filter(|f| !f.sites.is_empty()).map(|f| f.name));
        let help = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "{{ }} is read as a template. Text that needs {{ itself belongs in a script file.".to_owned(),
        };
        return Err((format!("there is no function `{name}`"), Some(help)));
    };
    let help = Some(function.help.to_owned());
    match function.sites {
        [] => Err((format!("`{name}` is a function of Packer that Bakehouse does not do yet"), help)),
        sites if !sites.contains(&site) => Err((format!("`{name}` cannot be called in {}", site.words()), help)),
        _ => Ok(()),
    }
}

/// The late fields that a text may speak of.
pub(crate) type Fields = &'static [&'static str];

/// The field that is a map of text.
pub(crate) const TAGS: &str = "SourceAMITags";

/// `command_wrapper`.
pub(crate) const COMMAND: Fields = &["Command"];
/// `mount_path`, `pre_mount_commands`.
pub(crate) const DEVICE: Fields = &["Device"];
/// `post_mount_commands`.
pub(crate) const MOUNTED: Fields = &["Device", "MountPath"];
/// `ami_description`, `tags`.
pub(crate) const IMAGE: Fields = &[
    "BuildRegion",
    "SourceAMI",
    "SourceAMIName",
    "SourceAMICreationDate",
    "SourceAMIOwner",
    "SourceAMIOwnerName",
    TAGS,
];
/// The keys of `build` in provisioners.
pub(crate) const RUN: Fields = &[
    "BuildRegion",
    "Device",
    "MountPath",
    "SourceAMI",
    "SourceAMIName",
    "SourceAMICreationDate",
    "SourceAMIOwner",
    "SourceAMIOwnerName",
];
/// Keys of `build` that Packer's prepare lets pass, but that have no value with this builder.
pub(crate) const RUN_EMPTY: Fields = &[
    "ID",
    "PackerRunUUID",
    "PackerHTTPIP",
    "PackerHTTPPort",
    "PackerHTTPAddr",
    "Host",
    "Port",
    "User",
    "Password",
    "ConnType",
    "SSHPublicKey",
    "SSHPrivateKey",
    "WinRMPassword",
];
