//! From a bundle to builds: fetched, unpacked into a directory of its own, loaded with what its manifest says, and
//! checked against what this stack allows.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bakehouse_bundle::{Limits, Manifest, UnpackError, relocate, remove, unpack};
use bakehouse_controller::stack::Bundles;
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{BuildSpec, BundleRef, StackConfig, Timestamp, chain};
use bakehouse_template::{Context, Diagnostic, LoadRequest, Problems, TemplateSource, limited, load};

/// What a bundle holds, ready to be built.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the bundle calls the recipe.
    pub recipe: String,
    /// One for each builder, with paths inside the bundle.
    pub specs: Vec<BuildSpec>,
}

/// Why a bundle can't be built.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// Never.
    #[error("{message}")]
    Refused {
        /// One line, or a line for each mistake of the template.
        message: String,
        /// What to do about it, where we know.
        hint: Option<String>,
    },
    /// Not now: the message must come again.
    #[error("the bundle can't be read now")]
    Later(#[source] Fault),
}

fn refused(message: impl Into<String>) -> NotLoaded {
    NotLoaded::Refused { message: message.into(), hint: None }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The bundle.
    pub bundle: &'a BundleRef,
    /// Variables; the later ones win, and all win over the bundle's own.
    pub vars: &'a [&'a BTreeMap<String, String>],
    /// The start of the build, for `timestamp` and the like.
    pub now: Timestamp,
    /// From which `uuid` follows.
    pub seed: u64,
}

/// Fetches and reads a bundle.
///
/// # Errors
/// [`NotLoaded`], with every mistake of the template at once.
pub async fn read<B: Bundles>(bundles: &B, config: &StackConfig, wanted: Wanted<'_>) -> Result<Loaded, NotLoaded> {
    let bytes = bundles.fetch(wanted.bundle).await.map_err(|fault| match fault.kind {
        FaultKind::Permanent | FaultKind::NotFound | FaultKind::Conflict => {
            NotLoaded::Refused { message: fault.message, hint: fault.hint }
        }
        FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotReady => NotLoaded::Later(fault),
    })?;
    let ours = |error: std::io::Error| {
        NotLoaded::Later(Fault::new(FaultKind::Ambiguous, format!("making a temporary directory: {error}")))
    };
    let home = tempfile::tempdir().map_err(ours)?;
    // `unpack` wants to make it itself.
    let dir = home.path().join("bundle");
    let manifest = unpack(bytes.as_slice(), &dir, &Limits::default()).map_err(|error| not_unpacked(&error))?;
    let loaded = load_in(&dir, &manifest, wanted, config);
    // A bundle may hold directories that nobody may write to: what makes the home go would stop there.
    if let Err(error) = remove(&dir) {
        tracing::warn!(%error, dir = %dir.display(), "an unpacked bundle can't be removed");
    }
    loaded
}

fn not_unpacked(error: &UnpackError) -> NotLoaded {
    let message = chain(error);
    if error.kind.is_rejection() {
        refused(message)
    } else {
        NotLoaded::Later(Fault::new(FaultKind::Ambiguous, message))
    }
}

fn load_in(dir: &Path, manifest: &Manifest, wanted: Wanted<'_>, config: &StackConfig) -> Result<Loaded, NotLoaded> {
    let mut vars = manifest.vars.clone();
    for more in wanted.vars {
        vars.extend((*more).clone());
    }
    let request = LoadRequest {
        template: TemplateSource::Path(PathBuf::from(&manifest.template)),
        vars: vars.into_iter().collect(),
        var_files: manifest.var_files.iter().map(PathBuf::from).collect(),
        context: Context {
            now: wanted.now,
            environment: manifest.environment.clone(),
            working_directory: PathBuf::from(&manifest.working_directory),
            uuid_seed: wanted.seed,
            root: dir.to_owned(),
        },
    };
    let mut loaded = load(&request).map_err(|problems| refused(told(&problems)))?;
    for warning in &loaded.warnings {
        tracing::warn!(recipe = manifest.recipe, warning = line(warning), "template");
    }
    for spec in &mut loaded.builds {
        relocate(spec, dir).map_err(|missing| refused(missing.to_string()))?;
        check(spec, config)?;
    }
    Ok(Loaded { recipe: manifest.recipe.clone(), specs: loaded.builds })
}

/// The mistakes, a line each. They go into a record, which has its limits: of very many only the first.
fn told(problems: &Problems) -> String {
    let (first, rest) = limited(&problems.errors, "mistake");
    let lines: Vec<String> = first.iter().map(line).chain(rest).collect();
    format!("{problems}: {}", lines.join("\n"))
}

fn line(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.position().map(|(file, line, column)| format!("{file}:{line}:{column}: "));
    let help = diagnostic.help_text().map(|help| format!(" ({help})"));
    format!("{}{diagnostic}{}", place.unwrap_or_default(), help.unwrap_or_default())
}

/// A build host is shared: what reaches the host itself is for the operator to allow.
fn check(spec: &BuildSpec, config: &StackConfig) -> Result<(), NotLoaded> {
    let reaches = spec.host_access();
    if reaches.is_empty() || config.allow_host_access {
        return Ok(());
    }
    Err(NotLoaded::Refused {
        message: format!("{} reaches the build host by {}", spec.name, reaches.join(", ")),
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
        let told = told(&load(&LoadRequest { template, vars: vec![], var_files: vec![], context }).unwrap_err());
        assert!(told.starts_with("the template has 600 mistakes: web.json:2:"), "{told}");
        assert!(told.ends_with("\nand 550 more mistakes"), "{told}");
        // An item of DynamoDB has at most 400 KB.
        assert!(told.len() < 64 * 1024, "{} bytes", told.len());
    }
}
