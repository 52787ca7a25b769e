//! Makes the plan of a build from its spec and source image. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_ec2::resource::Image;
use bakehouse_machine::{Build, Fault, Plan};
use bakehouse_protocol::Region;

use crate::permanent_fault::permanent_fault;

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
    let copies = copies(build)?;
    let mut regions = BTreeMap::new();
    for region in copies.iter().chain([&build.region]) {
        let texts = texts::render(build, &data, region)?;
        regions.insert(region.clone(), encryption::of_copy(build, region, texts));
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

/// Returns the regions to copy to, each once and without the build's.
fn copies(build: &Build) -> Result<Vec<Region>, Fault> {
    let image = &build.spec.image;
    let mut seen = BTreeSet::from([&build.region]);
    let copies: Vec<Region> = image.regions.iter().filter(|region| seen.insert(region)).cloned().collect();
    if copies.is_empty() && image.copying.skip_save_build_region {
        return Err(permanent_fault("`skip_save_build_region` is set, and there is no other region to copy to")
            .hint("name regions in `ami_regions`, or remove `skip_save_build_region`"));
    }
    Ok(copies)
}
