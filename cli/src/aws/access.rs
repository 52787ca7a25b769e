//! Connects with a template's access options.

use std::time::Duration;

use bakehouse_aws::Limits;
use bakehouse_controller_aws::ec2::{Connection, connect};
use bakehouse_ec2::Ec2 as _;
use bakehouse_protocol::{Access, Region};
use tokio::runtime::Runtime;

use crate::{external::aws_keys, report::CliError};

/// How often EC2 is asked whether it knows new keys yet, and how long the pauses are. Packer asks as often.
const ATTEMPTS: u32 = 11;
const PAUSE: Duration = Duration::from_secs(5);

/// Connects to AWS; with `vault_aws_engine`, Vault is asked for keys first.
pub(crate) fn open(runtime: &Runtime, access: &Access, region: Option<&Region>) -> Result<Connection, CliError> {
    let failed = |error| CliError::of(&error);
    let Some(engine) = access.vault_aws_engine.as_ref().filter(|_| access.keys.is_none()) else {
        return runtime.block_on(connect(access, region, Limits::default())).map_err(failed);
    };
    let keys = aws_keys(engine, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .map_err(CliError::failed)?;
    let access = Access { keys: Some(keys), ..access.clone() };
    let connection = runtime.block_on(connect(&access, region, Limits::default())).map_err(failed)?;
    // New keys of IAM take some seconds until every service knows them.
    let known = async {
        let ec2 = connection.ec2();
        for _ in 1..ATTEMPTS {
            match ec2.describe_regions().await {
                Ok(_) => return,
                Err(error) => tracing::debug!(%error, "keys not known yet"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    runtime.block_on(known);
    Ok(connection)
}
