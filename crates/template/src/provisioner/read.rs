//! Reads one provisioner of a template.

use bakehouse_protocol::spec::Provisioner;

use super::step::Step;
use crate::{
    blocks::Block,
    diagnostic::Diagnostic,
    functions::Section,
    inputs::Inputs,
    nearest::nearest,
    options::{self, FILE, SHELL},
    renderer::Renderer,
};

/// Packer's other provisioners.
const UNSUPPORTED: [&str; 17] = [
    "shell-local",
    "ansible",
    "ansible-local",
    "breakpoint",
    "sleep",
    "powershell",
    "windows-shell",
    "windows-restart",
    "hcp-sbom",
    "chef-client",
    "chef-solo",
    "puppet-masterless",
    "puppet-server",
    "salt-masterless",
    "inspec",
    "converge",
    "goss",
];

/// Reads one provisioner for the build of that name. `None` only after an error was reported.
pub(crate) fn read(block: &Block, build: &str, inputs: &Inputs<'_>) -> Option<Provisioner> {
    let Block { kind, options } = block;
    let diagnostics = inputs.diagnostics;
    let table = match kind.value.as_str() {
        "shell" => &SHELL,
        "file" => &FILE,
        other => {
            let diagnostic = if UNSUPPORTED.contains(&other) {
                let message = format!("\"{other}\" is a provisioner of Packer that Bakehouse does not support yet");
                Diagnostic::error(&kind.location, message).help("Use \"shell\" and \"file\" instead.")
            } else {
                let help = match nearest(other, ["shell", "file"]) {
                    Some(near) => format!("Did you mean \"{near}\"?"),
                    None => "The provisioners are \"shell\" and \"file\".".to_owned(),
                };
                Diagnostic::error(&kind.location, format!("there is no provisioner \"{other}\"")).help(help)
            };
            diagnostics.add(diagnostic);
            return None;
        }
    };
    let build = Some((build, options::AMAZON_CHROOT.owner));
    let renderer = Renderer { inputs: *inputs, section: Section::Provisioner, build };
    let values = options::read(table, options, kind.location.clone(), &renderer);
    let step = Step { values: &values, inputs };
    let action = if kind.value == "shell" { step.shell() } else { step.file() };
    let max_retries = values.integer("max_retries").map_or(Some(0), |number| {
        u32::try_from(number.value)
            .map_err(|_| {
                step.error(&number.location, format!("`max_retries` is {}", number.value), "Write 0 or more.");
            })
            .ok()
    });
    if let (Some(_), Some(location)) = (values.duration("pause_before"), values.location("timeout")) {
        diagnostics.add(
            Diagnostic::warning(location, "`timeout` has no effect together with `pause_before`")
                .help("As with Packer. Pause in a step of its own."),
        );
    }
    Some(Provisioner {
        pause_before: values.duration("pause_before"),
        timeout: values.duration("timeout"),
        max_retries: max_retries?,
        continue_on_error: false,
        action: action?,
    })
}
