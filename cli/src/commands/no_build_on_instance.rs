//! In place of `build_on_instance.rs` without the feature `aws`.

use bakehouse_machine::Build as Record;

use crate::{
    args::Build,
    context::{CliContext, without_aws},
    report::{CliError, Exit, note},
};

pub(super) fn run(_: &Build, _: &CliContext) -> Result<Exit, CliError> {
    Err(without_aws("building against AWS").hint(
        "with --local the images are baked in an embedded cloud on this machine; to build in AWS, make this program with \
         `cargo build -p bakehouse --features aws`",
    ))
}

/// Lists the builds of killed runs in AWS.
pub(super) fn sweep(cx: &CliContext) -> Result<Exit, CliError> {
    let Some(records) = cx.instance_records()? else { return Ok(Exit::Done) };
    let mut left = records.unfinished()?;
    left.extend(records.with_leftovers()?);
    for build in &left {
        note(&format!("build {} was made in AWS; a program with the feature `aws` undoes it", build.id));
    }
    Ok(if left.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Undoes one build of a killed run.
pub(super) fn undo(_: &CliContext, _: &Record) -> Result<(), CliError> {
    Err(without_aws("undoing a build in AWS"))
}
