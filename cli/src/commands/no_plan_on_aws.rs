//! In place of `plan_on_aws.rs` without the feature `aws`.

use bakehouse_ec2::resource::Image;
use bakehouse_machine::{Build, Plan};
use bakehouse_protocol::access::Access;

use crate::{
    context::{CliContext, without_aws},
    report::CliError,
};

pub(super) fn look_up(_: &Build, _: Access, _: &CliContext) -> Result<(Option<Image>, Plan), CliError> {
    Err(without_aws("asking AWS for the source image")
        .hint("--offline assumes an ordinary image, --local asks the embedded cloud"))
}
