//! `bakehouse plan` against AWS: the source image is looked up with the credentials that a build would use.

use bakehouse_controller::cloud::Cloud;
use bakehouse_ec2::resource::Image;
use bakehouse_machine::{Build, Plan};
use bakehouse_protocol::access::Access;

use super::access_groups;
use crate::{aws::access, context::CliContext, plan, report::CliError};

/// Looks up the source image and makes the plan.
pub(super) fn look_up(build: &Build, access: Access, cx: &CliContext) -> Result<(Option<Image>, Plan), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("can't start the threads for AWS: {error}")))?;
    let access = access_groups::absolute(access, &cx.directory);
    let connection = access::open(&runtime, &access, Some(&build.region))?;
    let cloud = Cloud(connection.ec2(), connection.parameters());
    runtime.block_on(plan::look_up(&cloud, build)).map_err(|fault| CliError::fault(&fault))
}
