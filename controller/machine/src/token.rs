//! Client tokens.

use alloc::{format, string::String};

use crate::Build;

/// Returns a client token: unique for the resource within the build's attempt.
pub(crate) fn token(build: &Build, resource: &str) -> String {
    match build.attempt {
        1 => format!("{}-{resource}", build.id),
        attempt => format!("{}-{resource}-{attempt}", build.id),
    }
}
