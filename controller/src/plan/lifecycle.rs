//! What happens to the images later: when they are deprecated, and which parameters get their ids.

use bakehouse_machine::{Build, Fault, Plan, plan::ParameterPlan};
use bakehouse_protocol::{Timestamp, spec::Deprecation};

use super::texts;
use crate::permanent_fault::permanent_fault;

/// Returns when the images are deprecated.
pub(super) fn deprecate_at(build: &Build) -> Result<Option<Timestamp>, Fault> {
    let at = match &build.spec.image.lifecycle.deprecation {
        None => return Ok(None),
        Some(Deprecation::In(after)) => return Ok(Some(build.accepted_at + *after)),
        Some(Deprecation::At(text)) => {
            let parsed: Result<jiff::Timestamp, _> = text.parse();
            let millis = parsed.ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
            millis.map(Timestamp).ok_or_else(|| {
                permanent_fault(format!("`deprecate_at` is no time: \"{text}\""))
                    .hint("write it as RFC 3339 does: 2030-01-31T00:00:00Z")
            })?
        }
    };
    if at <= build.accepted_at {
        return Err(permanent_fault("`deprecate_at` has passed").hint("EC2 takes a time in the future only"));
    }
    Ok(Some(at))
}

/// Returns the parameters of each region in which an image stays, without their former values.
pub(super) fn parameters(build: &Build, plan: &Plan) -> Result<Vec<ParameterPlan>, Fault> {
    let mut all = Vec::new();
    for region in plan.targets(&build.region) {
        for name in texts::parameter_names(build, &plan.data, region)? {
            let parameter = ParameterPlan { region: region.clone(), name, previous: None };
            if all.contains(&parameter) {
                let message = format!("two of `bakehouse_ssm_parameters` are {} in {region}", parameter.name);
                return Err(permanent_fault(message).hint("name each parameter once"));
            }
            all.push(parameter);
        }
    }
    Ok(all)
}
