//! Something says that there may be new base images. For every recipe that follows them the source image of each builder is
//! looked up anew, and where it is another than the one that was built from last, a build is created.
//!
//! Nothing is read from the notices themselves: their forms are many and partly undocumented, and the recipe's own
//! query says which image counts. A recipe of which no source is known yet is built, too: whoever sets `on_release`
//! wants the image of the present release. The build's id follows from recipe, bundle, variables, builder and image, so
//! that triggers that come twice, or at once, make one build.

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
    request::{NotTaken, create, fold, hash},
    stack::Stack,
    template::{self, NotLoaded, Wanted},
};

/// What says that there may be new base images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseTrigger<'a> {
    /// Any base image.
    Release,
    /// What this parameter names.
    Parameter(&'a str),
}

/// Looks at every recipe that follows releases. Returns the builds that were created, which then need a first look.
///
/// # Errors
/// [`NotTaken`]: the trigger must come again. What a recipe itself has wrong is logged and holds up no other.
pub async fn build_new_releases<P: Stack>(
    pair: &P,
    metrics: &Metrics,
    trigger: ReleaseTrigger<'_>,
    at: Timestamp,
) -> Result<Vec<BuildId>, NotTaken> {
    let mut builds = Vec::new();
    let mut trouble = None;
    for recipe in pair.registry().recipes().await?.iter().filter(|recipe| recipe.on_release) {
        match look(pair, recipe, trigger, at).await {
            Ok(new) => builds.extend(new),
            Err(NotBuilt::Refused(why)) => {
                metrics.count(Metric::MessagesRefused);
                tracing::error!(recipe = recipe.name, why, "the recipe can't be built for a release");
            }
            // The other recipes first: what is built for them is not built again.
            Err(NotBuilt::Later(why)) => trouble = Some(why),
        }
    }
    trouble.map_or(Ok(builds), Err)
}

enum NotBuilt {
    Refused(String),
    Later(NotTaken),
}

impl From<StoreError> for NotBuilt {
    fn from(error: StoreError) -> Self {
        Self::Later(error.into())
    }
}

impl From<Fault> for NotBuilt {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Permanent | FaultKind::NotFound | FaultKind::Conflict => Self::Refused(fault.message),
            FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotReady => Self::Later(NotTaken::Source(fault)),
        }
    }
}

async fn look<P: Stack>(
    pair: &P,
    recipe: &Recipe,
    trigger: ReleaseTrigger<'_>,
    at: Timestamp,
) -> Result<Vec<BuildId>, NotBuilt> {
    let wanted = Wanted { bundle: &recipe.bundle, vars: &[&recipe.vars], now: at, seed: hash([recipe.name.as_str()]) };
    let loaded = template::read(pair.bundles(), pair.config(), wanted).await.map_err(|error| match error {
        NotLoaded::Refused { message, .. } => NotBuilt::Refused(message),
        NotLoaded::Later(fault) => NotBuilt::Later(NotTaken::Bundle(fault)),
    })?;
    let mut builds = Vec::new();
    for spec in loaded.specs.into_iter().filter(|spec| concerns(spec, trigger)) {
        let region = spec.region.as_ref().unwrap_or(&pair.config().region);
        let Some(image) = source_of(pair.cloud(), region, &spec.source).await? else { continue };
        if recipe.sources.get(&spec.name) == Some(&image.image_id) {
            continue;
        }
        let (id, builder) = (id_of(recipe, &spec.name, &image), spec.name.clone());
        tracing::info!(recipe = recipe.name, builder, build = %id, image = %image.image_id, "a new source image");
        let new = std::iter::once((id, spec));
        builds.extend(create(pair, new, &recipe.name, &recipe.bundle).await?);
        note(pair, recipe, &builder, &image.image_id).await?;
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

/// The build of a recipe for an image. Its place among the others is that of the image's making: the time of the trigger
/// would be another each time it comes.
fn id_of(recipe: &Recipe, builder: &str, image: &Image) -> BuildId {
    let made = image.creation_date.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_second()).ok());
    let vars = recipe.vars.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let texts = [recipe.name.as_str(), &recipe.bundle.sha256, builder, image.image_id.as_str()];
    BuildId::from_parts(made.unwrap_or_default(), fold(hash(texts.into_iter().chain(vars))))
}

/// Notes what was built from. A recipe that was changed meanwhile is left as it is: it will be looked at by itself.
async fn note<P: Stack>(pair: &P, built: &Recipe, builder: &str, image: &ImageId) -> Result<(), StoreError> {
    let Some(mut recipe) = pair.registry().recipe(&built.name).await? else { return Ok(()) };
    if recipe.bundle != built.bundle || recipe.vars != built.vars {
        return Ok(());
    }
    recipe.sources.insert(builder.to_owned(), image.clone());
    pair.registry().put_recipe(&recipe).await
}
