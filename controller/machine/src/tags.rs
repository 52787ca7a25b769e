//! The tags by which resources of a build are found.

use alloc::{collections::BTreeMap, string::ToString};
use bakehouse_ec2::resource::Tags;

use crate::Build;

/// The tag that carries the build's id.
pub const BUILD_TAG: &str = "bakehouse:build";
/// The tag that carries the recipe's name.
pub const RECIPE_TAG: &str = "bakehouse:recipe";
/// The tag that carries the builder's name, as output shows it: a template may have several builders.
pub const BUILDER_TAG: &str = "bakehouse:builder";
/// The tag that carries until when a resource may be needed, in milliseconds since 1970; `never` for finished images.
pub const EXPIRES_TAG: &str = "bakehouse:expires";
/// The value of that tag on a finished image and its snapshots.
pub const NEVER: &str = "never";

/// Returns the template's tags with those by which the resource is found, which win.
pub(crate) fn tracked(build: &Build, tags: &Tags) -> Tags {
    let expires = build.accepted_at
        + build.timing.provisioning_timeout
        + build.timing.copying_timeout
        + build.timing.copying_timeout;
    let tracking = BTreeMap::from([
        (BUILD_TAG.to_string(), build.id.to_string()),
        (RECIPE_TAG.to_string(), build.recipe.clone()),
        (BUILDER_TAG.to_string(), build.spec.shown_name().to_string()),
        (EXPIRES_TAG.to_string(), expires.0.to_string()),
    ]);
    tags.clone().into_iter().chain(tracking).collect()
}
