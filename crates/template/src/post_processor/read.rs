//! Reads one post-processor of a template.

use bakehouse_hcl::nearest;
use bakehouse_protocol::spec::{PostAction, PostProcessor};

use crate::{
    blocks::Block,
    diagnostic::Diagnostic,
    functions::Section,
    inputs::Inputs,
    options::{self, CHECKSUM, MANIFEST, POST_SHELL_LOCAL, Table, Values},
    provisioner::{Step, shell_local},
    renderer::Renderer,
};

/// The post-processors that there are.
const KNOWN: [(&str, &Table); 3] =
    [("manifest", &MANIFEST), ("checksum", &CHECKSUM), ("shell-local", &POST_SHELL_LOCAL)];

/// The digests of `checksum`.
const DIGESTS: [&str; 6] = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// Packer's default of the manifest's `output`.
const MANIFEST_FILE: &str = "packer-manifest.json";

/// Returns the options of a type of post-processor; `None` for one that there is not.
pub(crate) fn table(kind: &str) -> Option<&'static Table> {
    KNOWN.into_iter().find(|(name, _)| *name == kind).map(|(_, table)| table)
}

/// Reads one post-processor of the build of that name. `None` after an error was reported, or if it is left out: a
/// command for another operating system.
pub(crate) fn read(block: &Block, build: &str, inputs: &Inputs<'_>) -> Option<PostProcessor> {
    let Block { kind, options } = block;
    let Some(table) = table(&kind.value) else {
        inputs.diagnostics.add(unknown(block));
        return None;
    };
    let build = Some((build, options::AMAZON_CHROOT.owner));
    let renderer = Renderer { inputs: *inputs, section: Section::PostProcessor, build };
    let values = options::read(table, options, kind.location.clone(), &renderer);
    let action = match kind.value.as_str() {
        "manifest" => manifest(&values, inputs),
        "checksum" => checksum(&values, block, inputs),
        _ => PostAction::ShellLocal(shell_local(&Step { values: &values, inputs })?),
    };
    Some(PostProcessor {
        name: values.string("name").map_or_else(|| kind.value.clone(), |name| name.value),
        keep_input_artifact: values.bool("keep_input_artifact").map(|keep| keep.value),
        action,
    })
}

fn manifest(values: &Values, inputs: &Inputs<'_>) -> PostAction {
    let output = values.string("output").map_or_else(|| MANIFEST_FILE.to_owned(), |output| output.value);
    let custom_data = values.deferred_map("custom_data").unwrap_or_default();
    for (key, _) in custom_data.iter().filter(|(key, _)| key.value.0.contains("{{")) {
        let message = "a key of `custom_data` cannot use `build`";
        let help = "Use it in the value.";
        inputs.diagnostics.add(Diagnostic::error(&key.location, message).help(help));
    }
    PostAction::Manifest {
        output: inputs.context.working_directory.join(output).to_string_lossy().into_owned(),
        strip_time: values.flag("strip_time"),
        custom_data: custom_data.into_iter().map(|(key, value)| (key.value.0, value.value)).collect(),
    }
}

fn checksum(values: &Values, block: &Block, inputs: &Inputs<'_>) -> PostAction {
    for digest in values.string_list("checksum_types").unwrap_or_default() {
        if !DIGESTS.contains(&digest.value.as_str()) {
            let message = format!("there is no checksum \"{}\"", digest.value);
            let help = format!("It must be one of {}.", DIGESTS.join(", "));
            inputs.diagnostics.add(Diagnostic::error(&digest.location, message).help(help));
        }
    }
    let message = "`checksum` writes nothing: an image has no files";
    inputs.diagnostics.add(Diagnostic::warning(&block.kind.location, message).help("Remove it."));
    PostAction::Checksum
}

/// Returns the error about a post-processor that there is not.
fn unknown(block: &Block) -> Diagnostic {
    let kind = &block.kind;
    let known = KNOWN.map(|(name, _)| name);
    let list = format!("The post-processors are {}.", known.join(", "));
    if kind.value == "artifice" {
        let message = "the post-processor \"artifice\" cannot be used: it puts files in place of the images";
        return Diagnostic::error(&kind.location, message).help(format!("Remove it. {list}"));
    }
    let help = match nearest(&kind.value, known) {
        Some(near) => format!("Did you mean \"{near}\"? {list}"),
        None => format!("{list} Leave out a build with `only` and `except`."),
    };
    Diagnostic::error(&kind.location, format!("there is no post-processor \"{}\"", kind.value)).help(help)
}
