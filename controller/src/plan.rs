//! Makes the plan of a build from its spec and source image. Pure.

use std::collections::BTreeMap;

use bakehouse_ec2::resource::Image;
use bakehouse_machine::{Build, Fault, Plan};

mod copies;
mod encryption;
mod lifecycle;
mod register;
mod root_snapshot;
mod texts;
mod volume;

pub(crate) use encryption::{check_sharing, named_keys};
pub(crate) use register::sendable;
pub use root_snapshot::RootSnapshot;

/// Returns the plan. `source` is the source image with the snapshot of its root device; `None`: from scratch.
///
/// # Errors
/// Permanent if a deferred template can't be rendered or the options contradict each other.
pub fn make_plan(build: &Build, source: Option<(&Image, RootSnapshot)>) -> Result<Plan, Fault> {
    let (source, root) = source.unzip();
    let data = texts::run_data(build, source);
    let copies = copies::plan(build)?;
    let mut regions = BTreeMap::new();
    for region in copies.iter().cloned().chain([(&build.region).into()]) {
        let texts = texts::render(build, &data, &region.region)?;
        let there = encryption::of_copy(build, &region, texts);
        regions.insert(region, there);
    }
    let volume = volume::plan(build, source, root.as_ref(), &data)?;
    let deprecate_at = lifecycle::deprecate_at(build)?;
    let mut plan = Plan {
        register: register::plan(build, source, volume.size)?,
        intermediate: build.spec.image.copying.skip_save_build_region,
        volume,
        data,
        regions,
        copies,
        replaced: Vec::new(),
        deprecate_at,
        parameters: Vec::new(),
    };
    plan.parameters = lifecycle::parameters(build, &plan)?;
    Ok(plan)
}
