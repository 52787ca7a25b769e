//! Reads one provisioner of a template.

use bakehouse_hcl::nearest;
use bakehouse_protocol::spec::{Action, Provisioner};

use super::{shell_local::shell_local, step::Step};
use crate::{
    blocks::Block,
    diagnostic::Diagnostic,
    functions::Section,
    inputs::Inputs,
    options::{self, ANSIBLE, ANSIBLE_LOCAL, BREAKPOINT, FILE, SHELL, SHELL_LOCAL, SLEEP, Table},
    renderer::Renderer,
};

/// The provisioners that there are.
const KNOWN: [&Table; 7] = [&SHELL, &FILE, &SHELL_LOCAL, &ANSIBLE, &ANSIBLE_LOCAL, &BREAKPOINT, &SLEEP];

const WINDOWS: &str = "it works in Windows, and an image is provisioned in a chroot of Linux";
const PLUGIN: &str = "Bakehouse has no such plugin";

/// Packer's other provisioners, and those of its plugins, with the reason why they can't be used.
const OTHERS: [(&str, &str); 14] = [
    ("powershell", WINDOWS),
    ("windows-shell", WINDOWS),
    ("windows-restart", WINDOWS),
    ("windows-update", WINDOWS),
    ("hcp-sbom", "it publishes to HCP Packer"),
    ("ansible-navigator", PLUGIN),
    ("chef-client", PLUGIN),
    ("chef-solo", PLUGIN),
    ("puppet-masterless", PLUGIN),
    ("puppet-server", PLUGIN),
    ("salt-masterless", PLUGIN),
    ("inspec", PLUGIN),
    ("converge", PLUGIN),
    ("goss", PLUGIN),
];

/// Returns the options of a type of provisioner; `None` for one that there is not.
pub(crate) fn table(kind: &str) -> Option<&'static Table> {
    KNOWN.into_iter().find(|table| table.owner == kind)
}

/// Reads one provisioner for the build of that name. `None` after an error was reported, or if the step is left out: a
/// breakpoint that is disabled, a command for another operating system.
pub(crate) fn read(block: &Block, build: &str, inputs: &Inputs<'_>) -> Option<Provisioner> {
    let Block { kind, options } = block;
    let Some(table) = table(&kind.value) else {
        inputs.diagnostics.add(unknown(block));
        return None;
    };
    let build = Some((build, options::AMAZON_CHROOT.owner));
    let renderer = Renderer { inputs: *inputs, section: Section::Provisioner, build };
    let values = options::read(table, options, kind.location.clone(), &renderer);
    let step = Step { values: &values, inputs };
    let action = match kind.value.as_str() {
        "shell" => step.shell(),
        "file" => step.file(),
        "shell-local" => shell_local(&step).map(Action::ShellLocal),
        "ansible" => step.ansible(),
        "ansible-local" => step.ansible_local(),
        "breakpoint" => step.breakpoint(),
        _ => step.sleep(),
    };
    let max_retries = values.integer("max_retries").map_or(Some(0), |number| {
        u32::try_from(number.value)
            .map_err(|_| {
                step.error(&number.location, format!("`max_retries` is {}", number.value), "Write 0 or more.");
            })
            .ok()
    });
    Some(Provisioner {
        pause_before: values.duration("pause_before"),
        timeout: values.duration("timeout"),
        max_retries: max_retries?,
        continue_on_error: values.flag("continue_on_error"),
        action: action?,
    })
}

/// Returns the error about a provisioner that there is not.
fn unknown(block: &Block) -> Diagnostic {
    let kind = &block.kind;
    let known: Vec<&str> = KNOWN.iter().map(|table| table.owner).collect();
    let list = format!("The provisioners are {}.", known.join(", "));
    if let Some((name, why)) = OTHERS.iter().find(|(name, _)| *name == kind.value) {
        let help = format!("{list} Leave out a build or a step with `only` and `except`.");
        return Diagnostic::error(&kind.location, format!("the provisioner \"{name}\" cannot be used: {why}"))
            .help(help);
    }
    let help = match nearest(&kind.value, known) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None => list,
    };
    Diagnostic::error(&kind.location, format!("there is no provisioner \"{}\"", kind.value)).help(help)
}
