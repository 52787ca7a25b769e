//! Resolves a build's spec to a plan: finds the source image, and checks before anything is created what would
//! otherwise fail at the end.

use std::collections::BTreeMap;

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
    account_copies,
    cloud::Cloud,
    permanent_fault::permanent_fault,
    plan::{RootSnapshot, check_sharing, make_plan, named_keys},
    ports::{Keys, Parameters},
};

mod accounts;

/// Finds the source, checks regions, keys and names, and makes the plan.
///
/// # Errors
/// [`FaultKind::Permanent`], with what to change in the template; or the fault of a look-up.
pub async fn resolve<E: Ec2, P: Parameters + Keys>(cloud: &Cloud<E, P>, build: &Build) -> Result<Plan, Fault> {
    resolve_with_source(cloud, build).await.map(|(_, plan)| plan)
}

/// As [`resolve`], with the source image; `None`: from scratch.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_with_source<E: Ec2, P: Parameters + Keys>(
    cloud: &Cloud<E, P>,
    build: &Build,
) -> Result<(Option<Image>, Plan), Fault> {
    if !build.spec.image.copying.skip_region_validation {
        check_regions(cloud, build).await?;
    }
    accounts::check_roles(cloud, build).await?;
    let source = source_of(cloud, &build.region, &build.spec.source).await?;
    let root = match &source {
        None => None,
        Some(image) => Some(root_snapshot(cloud, &build.region, image).await?),
    };
    let mut plan = make_plan(build, source.as_ref().zip(root.clone()))?;
    check_keys(cloud, build, &plan, root.as_ref()).await?;
    let targets: Vec<Region> = plan.targets(&build.region).cloned().collect();
    for region in &targets {
        if build.spec.image.replacement.force_deregister {
            plan.replaced.extend(cloud.replaced_image(region, &plan.register.name).await?);
        } else {
            check_name(cloud, region, &plan.register.name).await?;
        }
    }
    accounts::check_copies(cloud, build, &plan).await?;
    for parameter in &mut plan.parameters {
        parameter.previous = cloud.find_parameter(&parameter.region, &parameter.name).await?;
    }
    Ok((source, plan))
}

async fn check_name<E: Ec2, P: Parameters + Keys>(
    cloud: &Cloud<E, P>,
    region: &Region,
    name: &str,
) -> Result<(), Fault> {
    match cloud.image_named(region, name).await? {
        None => Ok(()),
        Some(holder) => Err(permanent_fault(format!("the name \"{name}\" is taken in {region} by {holder}")).hint(
            "make `ami_name` unique, for example with {{timestamp}} or {{uuid}}, deregister that image, or have it \
             replaced: `force_deregister`",
        )),
    }
}

/// Checks the keys that the template names, and that what is shared is not encrypted with a default key.
async fn check_keys<E: Ec2, P: Parameters + Keys>(
    cloud: &Cloud<E, P>,
    build: &Build,
    plan: &Plan,
    root: Option<&RootSnapshot>,
) -> Result<(), Fault> {
    let mut managed = BTreeMap::new();
    for (region, name) in named_keys(build, plan, root) {
        let unusable = |why: &str| {
            permanent_fault(format!("the key {name} {why} in {region}")).hint(match region.account() {
                None => {
                    "each region has keys of its own: look at `kms_key_id`, `root_volume_kms_key_id` and `region_kms_key_ids`"
                }
                Some(_) => "each region of each account has keys of its own: look at `bakehouse_account_copies`",
            })
        };
        let role = account_copies::role(&build.spec.image, &region);
        let key = match cloud.key(&region.region, role, &name).await {
            Ok(key) => key,
            Err(fault) if fault.kind == FaultKind::NotFound => return Err(unusable("does not exist")),
            Err(fault) => return Err(fault),
        };
        if !key.enabled {
            return Err(unusable("is not enabled"));
        }
        if !key.encrypts {
            return Err(unusable("is no symmetric key for encryption"));
        }
        managed.insert((region, name), key.managed_by_aws);
    }
    check_sharing(build, plan, root, &managed)
}

/// Returns the image that a build would start from now; `None`: from scratch.
///
/// # Errors
/// [`FaultKind::Permanent`] if there is none, or if none can be chosen; or the fault of a look-up.
pub async fn source_of<E: Ec2, P: Parameters + Keys>(
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
async fn root_snapshot<E: Ec2, P: Parameters + Keys>(
    cloud: &Cloud<E, P>,
    region: &Region,
    image: &Image,
) -> Result<RootSnapshot, Fault> {
    let source = &image.image_id;
    let id = image
        .root_snapshot()
        .cloned()
        .ok_or_else(|| permanent_fault(format!("the source image {source} has no snapshot for its root device")))?;
    match cloud.root_snapshot(region, &id).await {
        Ok(snapshot) => Ok(snapshot),
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

async fn check_regions<E: Ec2, P: Parameters + Keys>(cloud: &Cloud<E, P>, build: &Build) -> Result<(), Fault> {
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

async fn find<E: Ec2, P: Parameters + Keys>(
    cloud: &Cloud<E, P>,
    region: &Region,
    query: &ImageQuery,
) -> Result<Image, Fault> {
    let query = match &query.parameter {
        None => query.clone(),
        Some(name) => {
            let value = cloud.find_parameter(region, name).await?.ok_or_else(|| no_parameter(region, name))?;
            ImageQuery { id: Some(image_of(name, &value)?), ..query.clone() }
        }
    };
    let found = cloud.find_images(region, &query).await?;
    choose(found, &query, region)
}

fn no_parameter(region: &Region, name: &str) -> Fault {
    permanent_fault(format!("GetParameter {name}: there is no such parameter in {region}"))
        .hint("its name begins with a slash, and each region has parameters of its own")
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
