//! Packer's template languages, where what reads the options must know which one it is.

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Json,
    Hcl,
}

impl Language {
    /// Returns what to write instead of a function of Go templates that the language does not have.
    pub(crate) fn instead_of(self, function: &str) -> Option<&'static str> {
        match (self, function) {
            (Self::Json, _) => None,
            (Self::Hcl, "user") => Some("Write ${var.NAME}."),
            (Self::Hcl, "env") => {
                Some("Write variable \"NAME\" { default = env(\"NAME\") } at the root, and ${var.NAME} here.")
            }
            (Self::Hcl, "template_dir") => Some("Write ${path.root}."),
            (Self::Hcl, "build") => Some("Write ${build.NAME}, in a provisioner or a post-processor."),
            (Self::Hcl, _) => None,
        }
    }
}
