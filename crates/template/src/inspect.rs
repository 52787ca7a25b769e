//! Shows a template without evaluating it: no variable is rendered, no option is checked.

use crate::{
    diagnostic::{Diagnostics, Problems},
    hcl,
    inspection::Inspection,
    json,
    load::template,
    request::LoadRequest,
};

/// Returns what is in a template.
///
/// # Errors
/// The template or a variable file can't be read, or is not in its language.
pub fn inspect(request: &LoadRequest) -> Result<Inspection, Problems> {
    let diagnostics = Diagnostics::default();
    let inspection = if hcl::is_template(&request.template, &request.context) {
        Some(hcl::inspect(request, &diagnostics))
    } else {
        template(request, &diagnostics).and_then(|template| json::inspect(&template, request, &diagnostics))
    };
    let (errors, warnings) = diagnostics.into_parts();
    match inspection {
        Some(inspection) if errors.is_empty() => Ok(inspection),
        _ => Err(Problems { errors, warnings }),
    }
}
