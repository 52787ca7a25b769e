//! Builds that are only planned, and what is assumed of their source where no cloud is asked.

use bakehouse_controller::{cloud::Cloud, resolve::resolve_with_source};
use bakehouse_ec2::{ApiError, resource::Image};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_machine::{Build, Fault, FaultKind, Plan, Timing, build::NewBuild};
use bakehouse_protocol::{
    BuildId, BuildSpec, Region, SnapshotId, Timestamp,
    spec::{ImageQuery, Source},
};
use bakehouse_runner::dry_run::MemoryParameters;

/// The owner, the name and the size in GiB of an assumed source image.
const ASSUMED: (&str, &str, u32) = ("000000000000", "assumed", 8);

/// Returns the record of a build that has not begun.
pub(crate) fn planned_build(spec: BuildSpec, region: Region, recipe: &str, id: BuildId, now: Timestamp) -> Build {
    let recipe = recipe.to_owned();
    let new = NewBuild { id, spec, region, recipe, files: String::new(), bundle: None, timing: Timing::AWS };
    Build::new(new, now)
}

/// Makes the plan with an assumed source image, without asking any cloud.
pub(crate) async fn offline(build: &Build) -> Result<(Option<Image>, Plan), Fault> {
    let failed = |error: ApiError| Fault::new(FaultKind::Permanent, format!("setting up the model: {error}"));
    let (owner, name, size) = ASSUMED;
    let image = &build.spec.image;
    let of_others = image.account_copies.iter().flat_map(|block| &block.regions);
    let regions = std::iter::once(&build.region).chain(&image.regions).chain(of_others).cloned();
    let mut model = Model::new("111111111111", regions, 1, Delays::default());
    let mut import = Import::new(name, size, image.architecture);
    import.owner = Some(owner.to_owned());
    import.virtualization_type = image.virtualization.unwrap_or(import.virtualization_type);
    let source = model.import_image(build.accepted_at, &build.region, &import).map_err(failed)?;
    let cloud = Cloud(VirtualCloud::new(model, build.accepted_at), MemoryParameters::default());
    let mut assumed = build.clone();
    if matches!(assumed.spec.source, Source::Image(_)) {
        assumed.spec.source = Source::Image(ImageQuery { id: Some(source.image_id), ..ImageQuery::default() });
    }
    let (source, mut plan) = resolve_with_source(&cloud, &assumed).await?;
    // Told apart from ids that exist.
    if let (Some(snapshot), Ok(unknown)) = (&mut plan.volume.snapshot, SnapshotId::new("snap-00000000000000000")) {
        *snapshot = unknown;
    }
    Ok((source, plan))
}
