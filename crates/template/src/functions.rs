//! Packer's functions for JSON templates, and in which section of a template each may be called.

use bakehouse_hcl::nearest;

/// The section of a template that a value is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Variable,
    Builder,
    Provisioner,
    PostProcessor,
}

impl Section {
    /// Whether the run data are written as `build "SourceAMI"` here, not as fields.
    pub(crate) fn has_build(self) -> bool {
        matches!(self, Self::Provisioner | Self::PostProcessor)
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Variable => "the value of a variable",
            Self::Builder => "a builder",
            Self::Provisioner => "a provisioner",
            Self::PostProcessor => "a post-processor",
        }
    }
}

/// One of Packer's functions.
struct Function {
    name: &'static str,
    /// The sections where it may be called; none if Packer has taken it away.
    sections: &'static [Section],
    /// What to write elsewhere.
    help: &'static str,
}

const ALL: &[Section] = &[Section::Variable, Section::Builder, Section::Provisioner, Section::PostProcessor];
const VARIABLES: &[Section] = &[Section::Variable];
const BUILDS: &[Section] = &[Section::Builder, Section::Provisioner, Section::PostProcessor];

const fn everywhere(name: &'static str) -> Function {
    Function { name, sections: ALL, help: "" }
}

const fn only(name: &'static str, sections: &'static [Section], help: &'static str) -> Function {
    Function { name, sections, help }
}

/// All of Packer's functions.
const FUNCTIONS: &[Function] = &[
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
        VARIABLES,
        "Set a variable with it, \"variables\": {\"name\": \"{{env `NAME`}}\"}, and write {{user `name`}} here.",
    ),
    only(
        "build",
        &[Section::Provisioner, Section::PostProcessor],
        "In a builder, write the field itself: {{.SourceAMI}}",
    ),
    only("build_name", BUILDS, "The name of the build is not known yet when variables are read."),
    only("build_type", BUILDS, "The type of the build is not known yet when variables are read."),
    only("clean_resource_name", &[Section::Builder], "Write {{replace_all \":\" \"-\" …}} here."),
    everywhere("packer_version"),
    only("vault", VARIABLES, "Set a variable with it, and write {{user `name`}} here."),
    only("consul_key", VARIABLES, "Set a variable with it, and write {{user `name`}} here."),
    only("aws_secretsmanager", VARIABLES, "Set a variable with it, and write {{user `name`}} here."),
    only("aws_secretsmanager_raw", VARIABLES, "Set a variable with it, and write {{user `name`}} here."),
    only("sed", &[], "Write {{replace old new count text}} or {{replace_all old new text}}."),
];

/// Returns the names of the functions that JSON templates may call.
pub fn json_functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().filter(|function| !function.sections.is_empty()).map(|function| function.name)
}

/// Checks that a function may be called in a section.
///
/// # Errors
/// Why not: the message and, perhaps, what to write instead.
pub(crate) fn check(name: &str, section: Section) -> Result<(), (String, Option<String>)> {
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
        let near = nearest(name, FUNCTIONS.iter().filter(|f| !f.sections.is_empty()).map(|f| f.name));
        let help = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "{{ }} is read as a template. Text that needs {{ itself belongs in a script file.".to_owned(),
        };
        return Err((format!("there is no function `{name}`"), Some(help)));
    };
    let help = Some(function.help.to_owned());
    match function.sections {
        [] => Err((format!("the function `{name}` is not there any more"), help)),
        sections if !sections.contains(&section) => {
            Err((format!("`{name}` cannot be called in {}", section.describe()), help))
        }
        _ => Ok(()),
    }
}
