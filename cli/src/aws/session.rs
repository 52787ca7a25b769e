//! One stack, as the command speaks to it: its configuration is found by its name, everything else follows from that.

use std::sync::Arc;

use bakehouse_aws::{Bundles, Limits, Logs};
use bakehouse_controller::{
    clock::WallClock,
    ports::{Store as _, StoreError},
};
use bakehouse_controller_aws::{
    ec2::connect,
    stack::{
        Inbox, Table,
        config::{self, ConfigError},
    },
};
use bakehouse_machine::{Build, Fault};
use bakehouse_protocol::{BuildId, InboxMessage, Region, StackConfig, access::Access};
use tokio::runtime::Runtime;

use crate::report::CliError;

/// A stack and a runtime to speak to it in.
pub(crate) struct Session {
    runtime: Runtime,
    pub(crate) config: StackConfig,
    pub(crate) table: Table,
    pub(crate) inbox: Inbox,
    pub(crate) bundles: Bundles,
    pub(crate) logs: Logs,
}

impl Session {
    /// Finds the stack of this name, in the region given or in that of the environment.
    pub(crate) fn open(name: &str, region: Option<&Region>) -> Result<Self, CliError> {
        // One thread: whatever is waited for is one thing at a time.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::failed(format!("starting what speaks to AWS: {error}")))?;
        let connection = runtime.block_on(connect(&Access::default(), region, Limits::default()))?;
        let sdk = connection.config;
        let found = runtime.block_on(config::from_parameter(&sdk, name)).map_err(|error| not_found(&error))?;
        Ok(Self {
            table: Table::new(&sdk, &found, Arc::new(WallClock)),
            inbox: Inbox::new(&sdk, &found),
            bundles: Bundles::new(&sdk, &found.bucket),
            logs: Logs::new(&sdk, &found.builds_log_group),
            config: found,
            runtime,
        })
    }

    /// Waits for an answer.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A build, if there is one of this id.
    pub(crate) fn find(&self, id: &BuildId) -> Result<Option<Build>, CliError> {
        match self.wait(self.table.load(id)) {
            Ok((build, _)) => Ok(Some(build)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(CliError::of(&error)),
        }
    }

    /// Puts a message into the inbox.
    pub(crate) fn send(&self, message: &InboxMessage) -> Result<(), CliError> {
        Ok(self.wait(self.inbox.send(message))?)
    }
}

fn not_found(error: &ConfigError) -> CliError {
    let shown = match error {
        // Two things to know, in one line.
        ConfigError::NoStack { source, .. } => CliError::failed(format!("{error}: {}", source.fault.message)),
        _ => CliError::of(error),
    };
    error.hint().into_iter().fold(shown, CliError::hint)
}

/// A fault, as people are told.
pub(crate) fn error(fault: Fault) -> CliError {
    let error = CliError::failed(fault.message);
    fault.hint.into_iter().fold(error, CliError::hint)
}
