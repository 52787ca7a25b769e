//! A request becomes builds: one for each builder of its template, in the record before anything else is done. What is
//! refused is recorded, too, as a build that has failed: whoever asked for it asks what became of it.
//!
//! Everything that a build is made from follows from the message (its id, its time), so a message that comes twice asks
//! for the same builds, and each is created once.

use std::collections::BTreeMap;

use bakehouse_controller::{
    ports::{Clock, StoreError},
    stack::Registry,
};
use bakehouse_machine::{
    Build, FailureReason, Fault, Phase, Timing,
    build::{NewBuild, PhaseName},
};
use bakehouse_protocol::{
    BuildId, BuildSpec, BuildTarget, BundleRef, Millis, Request, StackConfig, Timestamp,
    spec::{ImageQuery, Source},
};

use crate::{
    metrics::{Metric, Metrics},
    stack::Stack,
    template::{self, NotLoaded, Wanted},
    watch,
};

/// Why builds could not be created; the message must come again.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The registry failed.
    #[error("creating the record of a build")]
    Store(#[from] StoreError),
    /// The source image can't be looked up now.
    #[error("looking up the source image")]
    Source(#[source] Fault),
    /// The bundle can't be had now.
    #[error("reading the bundle")]
    Bundle(#[source] Fault),
}

/// Builds to be made of one template.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The id of the first; the others get a number behind it.
    pub id: BuildId,
    /// The recipe's name, if it has one; else the bundle's own.
    pub recipe: Option<&'a str>,
    /// The template and its files.
    pub bundle: &'a BundleRef,
    /// Variables; the later win.
    pub vars: &'a [&'a BTreeMap<String, String>],
    /// When it was asked for: what `timestamp` gives.
    pub at: Timestamp,
}

/// The id of a request that brings none: from the message's time and id, which stay the same however often it comes.
pub fn id_of(message: &str, sent: Timestamp) -> BuildId {
    BuildId::from_parts(sent.0 / 1000, fold(hash([message])))
}

/// The id of a request by a schedule: from what it is for and the time it is for. `None`: that is no time.
fn scheduled(target: &BuildTarget, time: &str) -> Option<BuildId> {
    let at = crate::incoming::moment(time)?;
    let what = match target {
        BuildTarget::Bundle(bundle) => &bundle.key,
        BuildTarget::Recipe(name) => name,
    };
    Some(id_of(&format!("{what} {time}"), at))
}

/// FNV-1a over texts, each closed by a byte that is in none. Not for secrets.
pub(crate) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(crate) fn fold(hash: u64) -> u32 {
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    u32::from_le_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}

/// Takes down what a request asks for. Gives the builds, which then need a first look.
///
/// # Errors
/// [`NotTaken`]: the message must come again.
pub async fn take<P: Stack>(
    pair: &P,
    metrics: &Metrics,
    request: &Request,
    message: &str,
    at: Timestamp,
) -> Result<Vec<BuildId>, NotTaken> {
    let by_schedule = || scheduled(&request.target, request.scheduled.as_deref()?);
    let id = request.build.clone().or_else(by_schedule).unwrap_or_else(|| id_of(message, at));
    match &request.target {
        BuildTarget::Bundle(bundle) => {
            bake(pair, metrics, &Order { id, recipe: None, bundle, vars: &[&request.vars], at }).await
        }
        BuildTarget::Recipe(name) => match pair.registry().recipe(name).await? {
            Some(recipe) => {
                let vars = [&recipe.vars, &request.vars];
                let order = Order { id, recipe: Some(name), bundle: &recipe.bundle, vars: &vars, at };
                bake(pair, metrics, &order).await
            }
            None => {
                let refusal = Refusal {
                    message: format!("there is no recipe \"{}\" in this stack", crate::incoming::short(name)),
                    hint: Some("`bakehouse recipe ls` names them".into()),
                };
                refuse(pair, metrics, &id, name, None, refusal).await
            }
        },
    }
}

async fn bake<P: Stack>(pair: &P, metrics: &Metrics, order: &Order<'_>) -> Result<Vec<BuildId>, NotTaken> {
    let wanted = Wanted { bundle: order.bundle, vars: order.vars, now: order.at, seed: hash([order.id.as_str()]) };
    let refusal = match template::read(pair.bundles(), pair.config(), wanted).await {
        Ok(loaded) => {
            let ids: Option<Vec<BuildId>> = (1..=loaded.specs.len()).map(|n| order.id.nth(n)).collect();
            match ids {
                Some(ids) => {
                    let recipe = order.recipe.unwrap_or(&loaded.recipe);
                    let builds = ids.into_iter().zip(loaded.specs);
                    match create(pair, builds, recipe, order.bundle).await {
                        Err(StoreError::TooLarge(why)) => Refusal {
                            message: format!("the build is too large to be kept: {why}"),
                            hint: Some("put long inline scripts into files beside the template".into()),
                        },
                        created => return Ok(created?),
                    }
                }
                None => Refusal {
                    message: format!("the id {} leaves no room to number the template's builders", order.id),
                    hint: Some("ask with a shorter id, or without one".into()),
                },
            }
        }
        Err(NotLoaded::Later(fault)) => return Err(NotTaken::Bundle(fault)),
        Err(NotLoaded::Refused { message, hint }) => Refusal { message, hint },
    };
    let recipe = order.recipe.unwrap_or(&order.bundle.key);
    refuse(pair, metrics, &order.id, recipe, Some(order.bundle), refusal).await
}

/// Takes down these builds.
pub(crate) async fn create<P: Stack>(
    pair: &P,
    builds: impl Iterator<Item = (BuildId, BuildSpec)> + Send,
    recipe: &str,
    bundle: &BundleRef,
) -> Result<Vec<BuildId>, StoreError> {
    let mut ids = Vec::new();
    // Its time begins now: a message may have waited for hours.
    let now = pair.clock().now();
    for (id, spec) in builds {
        let new = NewBuild {
            id: id.clone(),
            spec,
            region: pair.config().region.clone(),
            recipe: recipe.to_owned(),
            // The agent knows where it unpacks the bundle.
            files: String::new(),
            bundle: Some(bundle.clone()),
            timing: timing(pair.config()),
        };
        let is_new = pair.registry().create(&Build::new(new, now)).await?;
        tracing::info!(build = %id, recipe, is_new, "accepted");
        ids.push(id);
    }
    Ok(ids)
}

/// The timing of a stack's builds: AWS's, and the stack's own idea of silence.
fn timing(config: &StackConfig) -> Timing {
    let silence = Millis::seconds(config.host_silence_seconds);
    // Often enough that a few may be lost.
    let heartbeat = Timing::AWS.heartbeat.min(Millis(silence.0 / 6));
    Timing { silence, heartbeat, ..Timing::AWS }
}

/// Why a request is refused.
struct Refusal {
    message: String,
    hint: Option<String>,
}

/// Takes down a build that will not be, as its request can't be read.
///
/// # Errors
/// [`NotTaken`]
pub async fn refused<P: Stack>(pair: &P, metrics: &Metrics, id: &BuildId, why: &str) -> Result<(), NotTaken> {
    let message = format!("the request can't be carried out: {why}");
    refuse(pair, metrics, id, "request", None, Refusal { message, hint: None }).await.map(drop)
}

/// Takes down that a request was refused.
async fn refuse<P: Stack>(
    pair: &P,
    metrics: &Metrics,
    id: &BuildId,
    recipe: &str,
    bundle: Option<&BundleRef>,
    refusal: Refusal,
) -> Result<Vec<BuildId>, NotTaken> {
    let new = NewBuild {
        id: id.clone(),
        spec: BuildSpec::minimal("refused", Source::Image(ImageQuery::default())),
        region: pair.config().region.clone(),
        recipe: recipe.to_owned(),
        files: String::new(),
        bundle: bundle.cloned(),
        timing: timing(pair.config()),
    };
    let now = pair.clock().now();
    let mut build = Build::new(new, now);
    let Refusal { message, hint } = refusal;
    build.phase = Phase::Failed(FailureReason { phase: PhaseName::Accepted, message, hint, failure: None });
    build.history.push((PhaseName::Failed, now));
    if !pair.registry().create(&build).await? {
        // It came before; if it could be read then, it goes on.
        return Ok(vec![id.clone()]);
    }
    metrics.count(Metric::MessagesRefused);
    if let Phase::Failed(reason) = &build.phase {
        watch::failing(&build, reason);
    }
    watch::ended(metrics, &build);
    Ok(vec![])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_schedule_for_one_time_are_one_build() {
        let id = |recipe: &str, time: &str| scheduled(&BuildTarget::Recipe(recipe.into()), time);
        let one = id("web", "2026-11-22T09:42:08Z").expect("a time");
        assert!(one.as_str().starts_with("b-6b02b8f0-"), "{one}: of its time");
        assert_eq!(id("web", "2026-11-22T09:42:08Z"), Some(one.clone()));
        assert_ne!(id("db", "2026-11-22T09:42:08Z"), Some(one.clone()));
        assert_ne!(id("web", "2026-11-29T09:42:08Z"), Some(one));
        // What a rule of EventBridge's, which fills nothing in, would send each time.
        assert_eq!(id("web", "<aws.scheduler.scheduled-time>"), None);
    }

    #[test]
    fn a_message_that_comes_twice_has_one_id() {
        let sent = Timestamp(1_795_382_528_123);
        let id = id_of("059f36b4-87a3-44ab-83d2-661975830a7d", sent);
        assert_eq!(id, id_of("059f36b4-87a3-44ab-83d2-661975830a7d", sent));
        assert_ne!(id, id_of("059f36b4-87a3-44ab-83d2-661975830a7e", sent));
        assert_eq!(BuildId::new(id.as_str()), Ok(id));
    }
}
