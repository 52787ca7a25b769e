//! `bakehouse plan` against AWS: the source image is looked up with the credentials that a build would use.

use bakehouse_controller::{cloud::Cloud, resolve::resolve_with_source};
use bakehouse_ec2::resource::Image;
use bakehouse_machine::{Build, Plan};
use bakehouse_protocol::access::Access;

use super::access_groups;
use crate::{
    aws::{access, runtime},
    context::CliContext,
    report::CliError,
};

/// Looks up the source image and makes the plan.
pub(super) fn look_up(build: &Build, access: Access, cx: &CliContext) -> Result<(Option<Image>, Plan), CliError> {
    let runtime = runtime::current_thread()?;
    let access = access_groups::absolute(access, &cx.directory);
    let connection = access::open(&runtime, &access, Some(&build.region))?;
    let cloud = Cloud(connection.ec2(), connection.parameters());
    runtime.block_on(resolve_with_source(&cloud, build)).map_err(|fault| CliError::fault(&fault))
}
