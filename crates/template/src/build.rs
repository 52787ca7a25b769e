//! Reads the blocks of a build: their options, and what these mean.

use bakehouse_protocol::{Access, BuildSpec, spec::Provisioner};

use crate::{
    blocks::{Block, BuildBlocks},
    builder,
    functions::Section,
    inputs::Inputs,
    options::{self, AMAZON_CHROOT},
    provisioner,
    renderer::Renderer,
};

/// Reads a build. Values that must be masked are added to `sensitive`. `None` only after an error was reported.
pub(crate) fn read(
    build: &BuildBlocks,
    inputs: &Inputs<'_>,
    sensitive: &mut Vec<String>,
) -> Option<(BuildSpec, Access)> {
    let renderer =
        Renderer { inputs: *inputs, section: Section::Builder, build: Some((&build.name, AMAZON_CHROOT.owner)) };
    let Block { kind, options } = &build.builder;
    let values = options::read(&AMAZON_CHROOT, options, kind.location.clone(), &renderer);
    let spec = builder::spec(&values, &build.name, inputs.diagnostics);
    sensitive.extend(["secret_key", "token"].into_iter().filter_map(|it| Some(values.string(it)?.value)));
    let provisioners = provisioners(&build.provisioners, &build.name, inputs);
    let (spec, access) = spec?;
    let working_directory = inputs.context.working_directory.to_string_lossy().into_owned();
    let display_name = build.display_name.clone();
    Some((BuildSpec { display_name, provisioners, working_directory, ..spec }, access))
}

/// Reads the provisioners of the build of that name.
pub(crate) fn provisioners(blocks: &[Block], build: &str, inputs: &Inputs<'_>) -> Vec<Provisioner> {
    blocks.iter().filter_map(|block| provisioner::read(block, build, inputs)).collect()
}
