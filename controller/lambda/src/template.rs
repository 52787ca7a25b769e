//! Loads a bundle: fetches it, unpacks it into a directory of its own, loads the template as its manifest says, and
//! checks that the stack allows what it does.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bakehouse_bundle::{Limits, Manifest, UnpackError, relocate, remove, unpack};
use bakehouse_controller::stack::Bundles;
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{BuildSpec, BundleRef, StackConfig, Timestamp, chain};
use bakehouse_template::{Context, Diagnostic, LoadRequest, Problems, TemplateSource, limited, load};

/// The contents of a bundle, ready to be built.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The recipe's name in the bundle.
    pub recipe: String,
    /// One spec for each builder, with paths inside the bundle.
    pub specs: Vec<BuildSpec>,
}

/// Why a bundle can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is invalid.
    #[error("{message}")]
    Rejected {
        /// One line, or a line for each mistake of the template.
        message: String,
        /// How to correct it, if that is known.
        hint: Option<String>,
    },
    /// A fault that may pass: the message must be delivered again.
    #[error("can't read the bundle")]
    Retry(#[source] Fault),
}

fn rejected(message: impl Into<String>) -> BundleError {
    BundleError::Rejected { message: message.into(), hint: None }
}

/// A bundle to load.
#[derive(Clone, Copy, Debug)]
pub struct BundleRequest<'a> {
    /// The bundle.
    pub bundle: &'a BundleRef,
    /// Variables; later ones take precedence, and all over the bundle's own.
    pub vars: &'a [&'a BTreeMap<String, String>],
    /// The start of the build, for `timestamp` and the like.
    pub now: Timestamp,
    /// The seed of `uuid`.
    pub seed: u64,
}

/// Fetches and reads a bundle.
///
/// # Errors
/// [`BundleError`], with every mistake of the template at once.
pub async fn load_bundle<B: Bundles>(
    bundles: &B,
    config: &StackConfig,
    request: BundleRequest<'_>,
) -> Result<Loaded, BundleError> {
    let bytes = bundles.fetch(request.bundle).await.map_err(|fault| match fault.kind {
        FaultKind::Permanent | FaultKind::NotFound | FaultKind::Conflict => {
            BundleError::Rejected { message: fault.message, hint: fault.hint }
        }
        FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotReady => BundleError::Retry(fault),
    })?;
    let no_directory = |error: std::io::Error| {
        BundleError::Retry(Fault::new(FaultKind::Ambiguous, format!("can't create a temporary directory: {error}")))
    };
    let home = tempfile::tempdir().map_err(no_directory)?;
    // `unpack` creates this directory itself.
    let dir = home.path().join("bundle");
    let manifest = unpack(bytes.as_slice(), &dir, &Limits::default()).map_err(|error| not_unpacked(&error))?;
    let loaded = load_in(&dir, &manifest, request, config);
    // A bundle may contain read-only directories, at which removing the temporary directory would fail.
    if let Err(error) = remove(&dir) {
        tracing::warn!(%error, dir = %dir.display(), "can't remove an unpacked bundle");
    }
    loaded
}

fn not_unpacked(error: &UnpackError) -> BundleError {
    let message = chain(error);
    if error.kind.is_rejection() {
        rejected(message)
    } else {
        BundleError::Retry(Fault::new(FaultKind::Ambiguous, message))
    }
}

fn load_in(
    dir: &Path,
    manifest: &Manifest,
    request: BundleRequest<'_>,
    config: &StackConfig,
) -> Result<Loaded, BundleError> {
    let mut vars = manifest.vars.clone();
    for more in request.vars {
        vars.extend((*more).clone());
    }
    let context = Context {
        now: request.now,
        environment: manifest.environment.clone(),
        working_directory: PathBuf::from(&manifest.working_directory),
        uuid_seed: request.seed,
        root: dir.to_owned(),
    };
    let load_request = LoadRequest {
        vars: vars.into_iter().collect(),
        var_files: manifest.var_files.iter().map(PathBuf::from).collect(),
        ..LoadRequest::new(TemplateSource::Path(PathBuf::from(&manifest.template)), context)
    };
    let mut loaded = load(&load_request).map_err(|problems| rejected(describe(&problems)))?;
    for warning in &loaded.warnings {
        tracing::warn!(recipe = manifest.recipe, warning = line(warning), "template warning");
    }
    for spec in &mut loaded.builds {
        relocate(spec, dir).map_err(|missing| rejected(missing.to_string()))?;
        check_host_access(spec, config)?;
    }
    Ok(Loaded { recipe: manifest.recipe.clone(), specs: loaded.builds })
}

/// Returns the mistakes, one on a line. Only the first of very many, as the size of a record is limited.
fn describe(problems: &Problems) -> String {
    let (first, rest) = limited(&problems.errors, "mistake");
    let lines: Vec<String> = first.iter().map(line).chain(rest).collect();
    format!("{problems}: {}", lines.join("\n"))
}

fn line(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.position().map(|(file, line, column)| format!("{file}:{line}:{column}: "));
    let help = diagnostic.help_text().map(|help| format!(" ({help})"));
    format!("{}{diagnostic}{}", place.unwrap_or_default(), help.unwrap_or_default())
}

/// Checks that the operator allows access to the host, which several builds share, if the spec needs it.
fn check_host_access(spec: &BuildSpec, config: &StackConfig) -> Result<(), BundleError> {
    let accesses = spec.host_access();
    if accesses.is_empty() || config.allow_host_access {
        return Ok(());
    }
    Err(BundleError::Rejected {
        message: format!("{} reaches the build host by {}", spec.name, accesses.join(", ")),
        hint: Some(format!(
            "leave that out, or let the operator of the stack {} set the parameter AllowHostAccess",
            config.name
        )),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A mistake in a test may panic.

    use super::*;

    #[test]
    fn a_refusal_for_very_many_mistakes_stays_short() {
        let steps: Vec<String> = (0..600).map(|n| format!(r#"{{"type": "shel{n}{}"}}"#, "x".repeat(5000))).collect();
        let text = format!(
            r#"{{"builders": [{{"type": "amazon-chroot", "source_ami": "ami-01234567", "ami_name": "web"}}],
            "provisioners": [{}]}}"#,
            steps.join(",")
        );
        let template = TemplateSource::Text { name: "web.json".to_owned(), text };
        let context = Context { working_directory: "/".into(), ..Context::default() };
        let message = describe(&load(&LoadRequest::new(template, context)).unwrap_err());
        assert!(message.starts_with("the template has 600 mistakes: web.json:2:"), "{message}");
        assert!(message.ends_with("\nand 550 more mistakes"), "{message}");
        // An item of DynamoDB has at most 400 KB.
        assert!(message.len() < 64 * 1024, "{} bytes", message.len());
    }
}
