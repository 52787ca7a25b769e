//! Resolves a build's spec to a plan: finds the source image, and checks before anything is created what would
//! otherwise fail at the end.

use bakehouse_ec2::{
    Ec2,
    resource::{Image, ImageState},
};
use bakehouse_machine::{Build, Fault, FaultKind, Plan};
use bakehouse_protocol::{
    ImageId, Region,
    spec::{ImageQuery, Source},
};

use crate::{
    cloud::Cloud,
    permanent_fault::permanent_fault,
    plan::{RootSnapshot, make_plan},
    ports::Parameters,
};

/// Finds the source, checks regions and names, and makes the plan.
///
/// # Errors
/// [`FaultKind::Permanent`], with what to change in the template; or the fault of a look-up.
pub async fn resolve<E: Ec2, P: Parameters>(cloud: &Cloud<E, P>, build: &Build) -> Result<Plan, Fault> {
    check_regions(cloud, build).await?;
    let source = source_of(cloud, &build.region, &build.spec.source).await?;
    let root = match &source {
        None => None,
        Some(image) => Some(root_snapshot(cloud, &build.region, image).await?),
    };
    let plan = make_plan(build, source.as_ref().zip(root))?;
    for region in std::iter::once(&build.region).chain(&plan.copies) {
        if let Some(holder) = cloud.image_named(region, &plan.register.name).await? {
            return Err(permanent_fault(format!(
                "the name \"{}\" is taken in {region} by {holder}",
                plan.register.name
            ))
            .hint("make `ami_name` unique, for example with {{timestamp}} or {{uuid}}, or deregister that image"));
        }
    }
    Ok(plan)
}

/// Returns the image that a build would start from now; `None`: from scratch.
///
/// # Errors
/// [`FaultKind::Permanent`] if there is none, or if none can be chosen; or the fault of a look-up.
pub async fn source_of<E: Ec2, P: Parameters>(
    cloud: &Cloud<E, P>,
    region: &Region,
    source: &Source,
) -> Result<Option<Image>, Fault> {
    match source {
        Source::Scratch { .. } => Ok(None),
        Source::Image(query) => find(cloud, region, query).await.map(Some),
    }
}

/// Returns the root snapshot of the chosen image. Not of all matches: a filter may match hundreds, many with snapshots
/// that are not shared.
async fn root_snapshot<E: Ec2, P: Parameters>(
    cloud: &Cloud<E, P>,
    region: &Region,
    image: &Image,
) -> Result<RootSnapshot, Fault> {
    let source = &image.image_id;
    let id = image
        .root_snapshot()
        .cloned()
        .ok_or_else(|| permanent_fault(format!("the source image {source} has no snapshot for its root device")))?;
    match cloud.snapshot_size(region, &id).await {
        Ok(size) => Ok(RootSnapshot { id, size }),
        Err(fault) if fault.kind == FaultKind::NotFound => Err(permanent_fault(format!(
            "the root snapshot of the source image {source} can't be read: {}",
            fault.message
        ))
        .hint(format!(
            "an image may be launched though its snapshot is not shared with this account, but not cloned: ask its owner \
             ({}) to share the snapshot, or launch it and make an image of your own of the instance (`aws ec2 create-image`)",
            image.owner_id
        ))),
        Err(fault) => Err(fault),
    }
}

async fn check_regions<E: Ec2, P: Parameters>(cloud: &Cloud<E, P>, build: &Build) -> Result<(), Fault> {
    let known = cloud.regions().await?;
    let unknown =
        std::iter::once(&build.region).chain(&build.spec.image.regions).find(|region| !known.contains(region));
    match unknown {
        None => Ok(()),
        Some(region) => {
            let known = known.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
            Err(permanent_fault(format!("there is no region \"{region}\" for this account"))
                .hint(format!("known are: {known}")))
        }
    }
}

async fn find<E: Ec2, P: Parameters>(cloud: &Cloud<E, P>, region: &Region, query: &ImageQuery) -> Result<Image, Fault> {
    let query = match &query.parameter {
        None => query.clone(),
        Some(name) => {
            let value = cloud.parameter(region, name).await?;
            ImageQuery { id: Some(image_of(name, &value)?), ..query.clone() }
        }
    };
    let found = cloud.find_images(region, &query).await?;
    choose(found, &query, region)
}

/// Returns the image that a parameter names: its value is an id, or a JSON document with an `image_id` (as ECS
/// publishes).
fn image_of(name: &str, value: &str) -> Result<ImageId, Fault> {
    #[derive(serde::Deserialize)]
    struct Document {
        image_id: ImageId,
    }
    let value = value.trim();
    let id = if value.starts_with('{') {
        serde_json::from_str::<Document>(value).map(|document| document.image_id).ok()
    } else {
        ImageId::new(value).ok()
    };
    id.ok_or_else(|| {
        permanent_fault(format!(
            "the parameter {name} names no image: \"{}\"",
            value.chars().take(80).collect::<String>()
        ))
        .hint("it must hold an image's id, or a JSON document with a member image_id")
    })
}

/// Returns the newest match if `most_recent` is set, else the only one.
pub(crate) fn choose(mut found: Vec<Image>, query: &ImageQuery, region: &Region) -> Result<Image, Fault> {
    found.sort_by(|a, b| a.creation_date.cmp(&b.creation_date));
    let several = found.len();
    let Some(image) = found.pop() else {
        return Err(permanent_fault(format!("no image in {region} matches {}", describe(query)))
            .hint("look at the filter, its owners and the region; locally: `bakehouse local images`"));
    };
    if several > 1 && !query.most_recent {
        return Err(permanent_fault(format!("{several} images in {region} match {}", describe(query)))
            .hint("narrow the filter, or set `most_recent` to true to take the newest"));
    }
    let id = &image.image_id;
    if image.state != ImageState::Available {
        return Err(permanent_fault(format!("the source image {id} is not available")));
    }
    if image.root_device_type != "ebs" {
        return Err(permanent_fault(format!(
            "the source image {id} has a root device of type {}",
            image.root_device_type
        ))
        .hint("only EBS-backed images can be built from"));
    }
    if !image.product_codes.is_empty() {
        return Err(permanent_fault(format!("the source image {id} carries marketplace product codes")).hint(
            "a volume made from it can't be attached to a running host, and the new image would lose its billing",
        ));
    }
    Ok(image)
}

fn describe(query: &ImageQuery) -> String {
    let mut words = Vec::new();
    if let Some(id) = &query.id {
        words.push(format!("id {id}"));
    }
    words.extend(query.filters.iter().map(|(name, values)| format!("{name} {}", values.join(" or "))));
    if !query.owners.is_empty() {
        words.push(format!("owner {}", query.owners.join(" or ")));
    }
    words.join(", ")
}
