//! Opens a template to evaluate single expressions with what it defines. Its builds are not read.

use crate::{
    diagnostic::{Diagnostics, Problems},
    hcl,
    inputs::Usage,
    json,
    load::template,
    request::LoadRequest,
    session::Session,
};

/// Evaluates a template's variables, locals and data sources, and passes what evaluates expressions with them to `run`.
/// Warnings about the template are dropped.
///
/// # Errors
/// All errors of what is evaluated at once.
pub fn console<R>(request: &LoadRequest, run: impl FnOnce(&dyn Session) -> R) -> Result<R, Problems> {
    let (usage, diagnostics) = (Usage::default(), Diagnostics::default());
    let result = if hcl::is_template(&request.template, &request.context) {
        hcl::console(request, &usage, &diagnostics, run)
    } else {
        template(request, &diagnostics)
            .and_then(|template| json::console(&template, request, &usage, &diagnostics, run))
    };
    let (errors, warnings) = diagnostics.into_parts();
    result.ok_or(Problems { errors, warnings })
}
