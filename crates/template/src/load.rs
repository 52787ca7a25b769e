//! Loads a template: the entry point of this crate.

use std::path::Path;

use bakehouse_protocol::{Access, BuildSpec};

use crate::{
    build,
    diagnostic::{Diagnostic, Diagnostics, Problems},
    files, hcl,
    inputs::{Inputs, Usage},
    json,
    language::Language,
    options::AMAZON_CHROOT,
    request::{LoadRequest, Loaded, TemplateSource, TemplateText},
};

/// Loads a template and checks everything in it.
///
/// # Errors
/// All errors of the template at once.
pub fn load(request: &LoadRequest) -> Result<Loaded, Problems> {
    let diagnostics = Diagnostics::default();
    let usage = Usage::default();
    let found = read(request, &usage, &diagnostics);
    let (errors, warnings) = diagnostics.into_parts();
    match found {
        Some(Read { builds, sensitive, skipped }) if errors.is_empty() => {
            let (builds, access) = builds.into_iter().unzip();
            let (environment, files) = usage.into_parts();
            let run_uuid = request.context.run_uuid();
            Ok(Loaded { builds, access, skipped, warnings, sensitive, run_uuid, environment, files })
        }
        _ if errors.is_empty() => {
            // `None` is returned only after an error was reported; if that fails, this must not succeed.
            let lost =
                Diagnostic::without_location("the template could not be read, and the reason was lost: this is a bug");
            Err(Problems { errors: vec![lost], warnings })
        }
        _ => Err(Problems { errors, warnings }),
    }
}

/// Checks a template's syntax only. Returns the warnings.
///
/// # Errors
/// All errors of the syntax at once.
pub fn check_syntax(request: &LoadRequest) -> Result<Vec<Diagnostic>, Problems> {
    let diagnostics = Diagnostics::default();
    if hcl::is_template(&request.template, &request.context) {
        hcl::check_syntax(request, &diagnostics);
    } else if let Some(template) = template(request, &diagnostics) {
        json::check_syntax(&template, &diagnostics);
    }
    let (errors, warnings) = diagnostics.into_parts();
    if errors.is_empty() { Ok(warnings) } else { Err(Problems { errors, warnings }) }
}

/// What a template yields.
struct Read {
    builds: Vec<(BuildSpec, Access)>,
    /// Values that must be masked.
    sensitive: Vec<String>,
    /// The builders that are not built.
    skipped: Vec<String>,
}

fn read(request: &LoadRequest, usage: &Usage, diagnostics: &Diagnostics) -> Option<Read> {
    let language = if hcl::is_template(&request.template, &request.context) { Language::Hcl } else { Language::Json };
    let (mut parsed, directory) = match language {
        Language::Hcl => hcl::read(request, usage, diagnostics),
        Language::Json => {
            let template = template(request, diagnostics)?;
            (json::read(&template, request, usage, diagnostics)?, template.directory)
        }
    };
    parsed.sensitive.extend(usage.secrets());
    let inputs = Inputs {
        context: &request.context,
        template_dir: &directory,
        language,
        variables: &parsed.variables,
        invalid: &parsed.invalid,
        external: request.external.as_deref(),
        usage,
        diagnostics,
    };
    let mut sensitive = parsed.sensitive.clone();
    let before = diagnostics.len();
    let builds: Vec<_> = parsed.builds.iter().filter_map(|build| build::read(build, &inputs, &mut sensitive)).collect();
    if parsed.builds.is_empty() && parsed.skipped.is_empty() {
        // No builder could be read: errors of the steps are reported all the same.
        build::provisioners(&parsed.provisioners, AMAZON_CHROOT.owner, &inputs);
    }
    warn_of_equal_names(&builds, diagnostics);
    diagnostics.drop_about(before, &parsed.unknown);
    if language == Language::Hcl {
        diagnostics.help_in_hcl(before);
    }
    diagnostics.mask(&sensitive);
    let keys = &sensitive[parsed.sensitive.len()..];
    let builds = builds.into_iter().map(|(mut spec, access)| {
        // The hosts need not know an access key, unless a step uses it.
        let steps = format!("{:?}", (&spec.provisioners, &spec.error_cleanup));
        let is_needed = |value: &&String| !keys.contains(value) || steps.contains(&**value);
        let own = keys.iter().filter(|key| !parsed.sensitive.contains(key));
        let hidden = parsed.sensitive.iter().chain(own).filter(is_needed).cloned().collect();
        spec.image.replacement.force_deregister |= request.force;
        (BuildSpec { sensitive: hidden, ..spec }, access)
    });
    let builds = builds.collect();
    Some(Read { builds, sensitive, skipped: parsed.skipped })
}

/// Warns of builds that make images of one name in one region of one account: EC2 would refuse the second at its end.
fn warn_of_equal_names(builds: &[(BuildSpec, Access)], diagnostics: &Diagnostics) {
    for (index, (build, access)) in builds.iter().enumerate() {
        let is_same = |(other, other_access): &&(BuildSpec, Access)| {
            (&other.image.name, &other.region, other_access) == (&build.image.name, &build.region, access)
        };
        if let Some((other, _)) = builds[..index].iter().find(is_same) {
            let (one, two, name) = (other.shown_name(), build.shown_name(), &build.image.name);
            let message = format!("the builders `{one}` and `{two}` make images of one name, \"{name}\"");
            let help =
                "EC2 refuses the second. Put the name of the builder into `ami_name`, or build one of them with -only.";
            diagnostics.add(Diagnostic::warning_without_location(message).help(help));
        }
    }
}

/// Reads the file of a template. `None` only after an error was reported.
pub(crate) fn template(request: &LoadRequest, diagnostics: &Diagnostics) -> Option<TemplateText> {
    let here = &request.context.working_directory;
    let path = match &request.template {
        TemplateSource::Text { name, text } => {
            if let Err(error) = files::check_size(text) {
                diagnostics.add(Diagnostic::without_location(format!("the template {name} cannot be read: {error}")));
                return None;
            }
            return Some(TemplateText { name: name.clone(), text: text.clone(), directory: here.clone() });
        }
        TemplateSource::Path(path) => path,
    };
    let name = path.display().to_string();
    let full = here.join(path);
    let on_disk = request.context.on_disk(&full);
    match files::read(&on_disk) {
        Ok(text) => {
            let directory = full.parent().unwrap_or(Path::new("/")).to_path_buf();
            Some(TemplateText { name, text, directory: std::path::absolute(&directory).unwrap_or(directory) })
        }
        Err(error) => {
            diagnostics.add(
                Diagnostic::without_location(format!("the template {name} cannot be read: {error}"))
                    .help(format!("Paths are relative to the working directory, {}", here.display())),
            );
            None
        }
    }
}
