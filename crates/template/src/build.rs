//! Reads the blocks of a build: their options, and what these mean.

use bakehouse_protocol::{Access, BuildSpec, spec::Provisioner};

use crate::{
    blocks::{Block, BuildBlocks},
    builder,
    functions::Section,
    inputs::Inputs,
    options::{self, AMAZON_CHROOT},
    post_processor, provisioner,
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
    let spec = builder::spec(&values, &build.name, inputs.context.now, inputs.diagnostics);
    sensitive.extend(["secret_key", "token", "mfa_code"].into_iter().filter_map(|it| Some(values.string(it)?.value)));
    let provisioners = provisioners(&build.provisioners, &build.name, inputs);
    let error_cleanup = build.error_cleanup.as_ref().and_then(|block| provisioner::read(block, &build.name, inputs));
    let chain = |blocks: &Vec<Block>| -> Vec<_> {
        blocks.iter().filter_map(|block| post_processor::read(block, &build.name, inputs)).collect()
    };
    let post_processors = build.post_processors.iter().map(chain).filter(|chain| !chain.is_empty()).collect();
    let (spec, access) = spec?;
    let working_directory = inputs.context.working_directory.to_string_lossy().into_owned();
    let display_name = build.display_name.clone();
    let spec = BuildSpec { display_name, provisioners, error_cleanup, post_processors, working_directory, ..spec };
    Some((spec, access))
}

/// Reads the provisioners of the build of that name.
pub(crate) fn provisioners(blocks: &[Block], build: &str, inputs: &Inputs<'_>) -> Vec<Provisioner> {
    blocks.iter().filter_map(|block| provisioner::read(block, build, inputs)).collect()
}
