//! Creates the builds of a request: one for each builder of its template, saved before anything else is done. A
//! rejected request is saved, too, as a build that has failed, so that its sender can read why.
//!
//! Ids and times of the builds are derived from the message, so a message that is delivered twice creates each build
//! once.

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
    observer,
    stack::Stack,
    template::{self, BundleError, BundleRequest},
};

/// Why builds could not be created; the message must be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The registry failed.
    #[error("creating the record of a build")]
    Store(#[from] StoreError),
    /// The source image can't be looked up at the moment.
    #[error("looking up the source image")]
    Source(#[source] Fault),
    /// The bundle can't be fetched at the moment.
    #[error("reading the bundle")]
    Bundle(#[source] Fault),
}

/// The builds to create from one template.
#[derive(Clone, Debug)]
pub struct NewBuilds<'a> {
    /// The id of the first build; the others append a number to it.
    pub id: BuildId,
    /// The recipe's name; `None`: the name in the bundle.
    pub recipe: Option<&'a str>,
    /// The template and its files.
    pub bundle: &'a BundleRef,
    /// Variables; later ones take precedence.
    pub vars: &'a [&'a BTreeMap<String, String>],
    /// When it was requested: the value of `timestamp`.
    pub at: Timestamp,
}

/// Returns the id of a request without one, derived from the message's time and id, which are the same at each
/// delivery.
pub fn id_of(message: &str, sent: Timestamp) -> BuildId {
    BuildId::from_parts(sent.0 / 1000, fold(hash([message])))
}

/// Returns the id of a schedule's request, derived from its target and scheduled time. `None`: the text is not a time.
fn scheduled_id(target: &BuildTarget, time: &str) -> Option<BuildId> {
    let at = crate::incoming::parse_time(time)?;
    let what = match target {
        BuildTarget::Bundle(bundle) => &bundle.key,
        BuildTarget::Recipe(name) => name,
    };
    Some(id_of(&format!("{what} {time}"), at))
}

/// Returns the FNV-1a hash of texts, each followed by a byte that no UTF-8 text contains. Not for secrets.
pub(crate) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(crate) fn fold(hash: u64) -> u32 {
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    u32::from_le_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}

/// Creates the builds of a request. Returns their ids; each then needs a first tick.
///
/// # Errors
/// [`RequestError`]: the message must be delivered again.
pub async fn accept<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    request: &Request,
    message: &str,
    at: Timestamp,
) -> Result<Vec<BuildId>, RequestError> {
    let by_schedule = || scheduled_id(&request.target, request.scheduled.as_deref()?);
    let id = request.build.clone().or_else(by_schedule).unwrap_or_else(|| id_of(message, at));
    match &request.target {
        BuildTarget::Bundle(bundle) => {
            create_builds(stack, metrics, &NewBuilds { id, recipe: None, bundle, vars: &[&request.vars], at }).await
        }
        BuildTarget::Recipe(name) => match stack.registry().recipe(name).await? {
            Some(recipe) => {
                let vars = [&recipe.vars, &request.vars];
                let new = NewBuilds { id, recipe: Some(name), bundle: &recipe.bundle, vars: &vars, at };
                create_builds(stack, metrics, &new).await
            }
            None => {
                let rejection = Rejection {
                    message: format!("there is no recipe \"{}\" in this stack", crate::incoming::excerpt(name)),
                    hint: Some("`bakehouse recipe ls` names them".into()),
                };
                reject(stack, metrics, &id, name, None, rejection).await
            }
        },
    }
}

async fn create_builds<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    new: &NewBuilds<'_>,
) -> Result<Vec<BuildId>, RequestError> {
    let request = BundleRequest { bundle: new.bundle, vars: new.vars, now: new.at, seed: hash([new.id.as_str()]) };
    let rejection = match template::load_bundle(stack.bundles(), stack.config(), request).await {
        Ok(loaded) => {
            let ids: Option<Vec<BuildId>> = (1..=loaded.specs.len()).map(|n| new.id.nth(n)).collect();
            match ids {
                Some(ids) => {
                    let recipe = new.recipe.unwrap_or(&loaded.recipe);
                    let builds = ids.into_iter().zip(loaded.specs);
                    match create_records(stack, builds, recipe, new.bundle).await {
                        Err(StoreError::TooLarge(why)) => Rejection {
                            message: format!("the build is too large to store: {why}"),
                            hint: Some("put long inline scripts into files beside the template".into()),
                        },
                        created => return Ok(created?),
                    }
                }
                None => Rejection {
                    message: format!("the id {} is too long to number the template's builders", new.id),
                    hint: Some("use a shorter id, or none".into()),
                },
            }
        }
        Err(BundleError::Retry(fault)) => return Err(RequestError::Bundle(fault)),
        Err(BundleError::Rejected { message, hint }) => Rejection { message, hint },
    };
    let recipe = new.recipe.unwrap_or(&new.bundle.key);
    reject(stack, metrics, &new.id, recipe, Some(new.bundle), rejection).await
}

/// Saves the records of these builds.
pub(crate) async fn create_records<S: Stack>(
    stack: &S,
    builds: impl Iterator<Item = (BuildId, BuildSpec)> + Send,
    recipe: &str,
    bundle: &BundleRef,
) -> Result<Vec<BuildId>, StoreError> {
    let mut ids = Vec::new();
    // The build's time starts now: its message may have waited for hours.
    let now = stack.clock().now();
    for (id, spec) in builds {
        let new = NewBuild {
            id: id.clone(),
            spec,
            region: stack.config().region.clone(),
            recipe: recipe.to_owned(),
            // The agent decides where it unpacks the bundle.
            files: String::new(),
            bundle: Some(bundle.clone()),
            timing: timing(stack.config()),
        };
        let is_new = stack.registry().create(&Build::new(new, now)).await?;
        tracing::info!(build = %id, recipe, is_new, "build accepted");
        ids.push(id);
    }
    Ok(ids)
}

/// Returns the timing of a stack's builds: AWS's, with the stack's own time-out for silent hosts.
fn timing(config: &StackConfig) -> Timing {
    let silence = Millis::seconds(config.host_silence_seconds);
    // Frequent enough that a few may be lost.
    let heartbeat = Timing::AWS.heartbeat.min(Millis(silence.0 / 6));
    Timing { silence, heartbeat, ..Timing::AWS }
}

/// Why a request is rejected.
struct Rejection {
    message: String,
    hint: Option<String>,
}

/// Records a failed build for a request that can't be read.
///
/// # Errors
/// [`RequestError`]
pub async fn reject_unreadable<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    id: &BuildId,
    why: &str,
) -> Result<(), RequestError> {
    let message = format!("the request can't be carried out: {why}");
    reject(stack, metrics, id, "request", None, Rejection { message, hint: None }).await.map(drop)
}

/// Records a failed build for a request that is rejected.
async fn reject<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    id: &BuildId,
    recipe: &str,
    bundle: Option<&BundleRef>,
    rejection: Rejection,
) -> Result<Vec<BuildId>, RequestError> {
    let new = NewBuild {
        id: id.clone(),
        spec: BuildSpec::minimal("refused", Source::Image(ImageQuery::default())),
        region: stack.config().region.clone(),
        recipe: recipe.to_owned(),
        files: String::new(),
        bundle: bundle.cloned(),
        timing: timing(stack.config()),
    };
    let now = stack.clock().now();
    let mut build = Build::new(new, now);
    let Rejection { message, hint } = rejection;
    build.phase = Phase::Failed(FailureReason { phase: PhaseName::Accepted, message, hint, failure: None });
    build.history.push((PhaseName::Failed, now));
    if !stack.registry().create(&build).await? {
        // The request was delivered before; if it could be read then, its build continues.
        return Ok(vec![id.clone()]);
    }
    metrics.count(Metric::MessagesRefused);
    if let Phase::Failed(reason) = &build.phase {
        observer::log_failed(&build, reason);
    }
    observer::record_end(metrics, &build);
    Ok(vec![])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_schedule_for_one_time_are_one_build() {
        let id = |recipe: &str, time: &str| scheduled_id(&BuildTarget::Recipe(recipe.into()), time);
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
