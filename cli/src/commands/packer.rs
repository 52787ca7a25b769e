//! Packer's commands about itself: `version`, and those that have nothing to do here.

use crate::{
    args::{Init, Version},
    machine_line,
    report::{CliError, Exit},
    text,
};

/// `bakehouse version`.
pub(super) fn version(args: &Version) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    if args.machine_readable {
        machine_line::print("", "version", &[version]);
        // The misspelling is Packer's.
        machine_line::print("", "version-prelease", &[""]);
        machine_line::print("", "version-commit", &[""]);
        machine_line::say(&format!("Bakehouse v{version}"));
    } else {
        text::out(&format!("bakehouse {version}"));
    }
    Exit::Done
}

/// `bakehouse init`: scripts call it before every build.
pub(super) fn init(_: &Init) -> Exit {
    text::err("There is nothing to install: Bakehouse has no plugins, and ignores `required_plugins`.");
    Exit::Done
}

/// `bakehouse plugins`.
pub(super) fn plugins() -> CliError {
    CliError::wrong("there are no plugins here").hint("what templates may use is in docs/template-reference.md")
}

/// `bakehouse fix`.
pub(super) fn fix() -> CliError {
    CliError::wrong("there is no `fix` here").hint(
        "templates with Packer's old names are built as they are; `bakehouse validate` warns of each and says what to \
         write",
    )
}

/// `bakehouse hcl2_upgrade`.
pub(super) fn hcl2_upgrade() -> CliError {
    CliError::wrong("there is no `hcl2_upgrade` here")
        .hint("JSON templates are built as they are; to have one in HCL2, translate it with `packer hcl2_upgrade`")
}
