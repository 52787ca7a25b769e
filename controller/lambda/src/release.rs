//! Builds recipes for new base images. At a trigger, the source image of each builder of every recipe with `on_release`
//! is looked up, and where it differs from the one that was last built from, a build is created.
//!
//! Nothing is read from the notices themselves: their formats are many and partly undocumented, and the recipe's own
//! query says which image counts. A recipe without a last source image is built, too. The build's id is derived from
//! recipe, bundle, variables, builder and image, so that repeated or concurrent triggers create one build.

use bakehouse_controller::{
    ports::StoreError,
    resolve::source_of,
    stack::{Recipe, Registry},
};
use bakehouse_ec2::resource::Image;
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{BuildId, BuildSpec, ImageId, Timestamp, spec::Source};

use crate::{
    metrics::{Metric, Metrics},
    request::{RequestError, create_records, fold, hash},
    stack::Stack,
    template::{self, BundleError, BundleRequest},
};

/// The reason to look for new base images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseTrigger<'a> {
    /// Any base image may be new.
    Release,
    /// The image that this parameter names.
    Parameter(&'a str),
}

/// Checks every recipe with `on_release`. Returns the builds that were created; each then needs a first tick.
///
/// # Errors
/// [`RequestError`]: the trigger must be delivered again. A mistake in a recipe is logged and does not stop the others.
pub async fn build_new_releases<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    trigger: ReleaseTrigger<'_>,
    at: Timestamp,
) -> Result<Vec<BuildId>, RequestError> {
    let mut builds = Vec::new();
    let mut retry = None;
    for recipe in stack.registry().recipes().await?.iter().filter(|recipe| recipe.on_release) {
        match build_if_new(stack, recipe, trigger, at).await {
            Ok(new) => builds.extend(new),
            Err(ReleaseError::Rejected(why)) => {
                metrics.count(Metric::MessagesRefused);
                tracing::error!(recipe = recipe.name, why, "can't build a recipe for a release");
            }
            // The other recipes first: their builds are not created again at the next delivery.
            Err(ReleaseError::Retry(error)) => retry = Some(error),
        }
    }
    retry.map_or(Ok(builds), Err)
}

enum ReleaseError {
    Rejected(String),
    Retry(RequestError),
}

impl From<StoreError> for ReleaseError {
    fn from(error: StoreError) -> Self {
        Self::Retry(error.into())
    }
}

impl From<Fault> for ReleaseError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Permanent | FaultKind::NotFound | FaultKind::Conflict => Self::Rejected(fault.message),
            FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotReady => {
                Self::Retry(RequestError::Source(fault))
            }
        }
    }
}

async fn build_if_new<S: Stack>(
    stack: &S,
    recipe: &Recipe,
    trigger: ReleaseTrigger<'_>,
    at: Timestamp,
) -> Result<Vec<BuildId>, ReleaseError> {
    let request =
        BundleRequest { bundle: &recipe.bundle, vars: &[&recipe.vars], now: at, seed: hash([recipe.name.as_str()]) };
    let loaded =
        template::load_bundle(stack.bundles(), stack.config(), request).await.map_err(|error| match error {
            BundleError::Rejected { message, .. } => ReleaseError::Rejected(message),
            BundleError::Retry(fault) => ReleaseError::Retry(RequestError::Bundle(fault)),
        })?;
    let mut builds = Vec::new();
    for spec in loaded.specs.into_iter().filter(|spec| concerns(spec, trigger)) {
        let region = spec.region.as_ref().unwrap_or(&stack.config().region);
        let Some(image) = source_of(stack.cloud(), region, &spec.source).await? else { continue };
        if recipe.sources.get(&spec.name) == Some(&image.image_id) {
            continue;
        }
        let (id, builder) = (id_of(recipe, &spec.name, &image), spec.name.clone());
        tracing::info!(recipe = recipe.name, builder, build = %id, image = %image.image_id, "new source image");
        let new = std::iter::once((id, spec));
        builds.extend(create_records(stack, new, &recipe.name, &recipe.bundle).await?);
        save_source(stack, recipe, &builder, &image.image_id).await?;
    }
    Ok(builds)
}

fn concerns(spec: &BuildSpec, trigger: ReleaseTrigger<'_>) -> bool {
    match (&spec.source, trigger) {
        (Source::Scratch { .. }, _) => false,
        (Source::Image(_), ReleaseTrigger::Release) => true,
        // A parameter may be named with a version or a label behind it.
        (Source::Image(query), ReleaseTrigger::Parameter(name)) => {
            query.parameter.as_deref().is_some_and(|used| used.split(':').next() == Some(name))
        }
    }
}

/// Returns the id of the build of a recipe for an image. Its time is the image's creation, as the time of the trigger
/// differs at each delivery.
fn id_of(recipe: &Recipe, builder: &str, image: &Image) -> BuildId {
    let made = image.creation_date.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_second()).ok());
    let vars = recipe.vars.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let texts = [recipe.name.as_str(), &recipe.bundle.sha256, builder, image.image_id.as_str()];
    BuildId::from_parts(made.unwrap_or_default(), fold(hash(texts.into_iter().chain(vars))))
}

/// Saves the source image that was built from. A recipe that was changed meanwhile is left as it is.
async fn save_source<S: Stack>(stack: &S, built: &Recipe, builder: &str, image: &ImageId) -> Result<(), StoreError> {
    let Some(mut recipe) = stack.registry().recipe(&built.name).await? else { return Ok(()) };
    if recipe.bundle != built.bundle || recipe.vars != built.vars {
        return Ok(());
    }
    recipe.sources.insert(builder.to_owned(), image.clone());
    stack.registry().put_recipe(&recipe).await
}
