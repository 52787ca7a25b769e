//! A session with a stack, whose configuration is found by the stack's name.

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

use super::runtime;
use crate::report::CliError;

/// The clients of a stack, with an async runtime.
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
        // One thread: calls are made one at a time.
        let runtime = runtime::current_thread()?;
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

    /// Runs a future to its end.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Returns the build of this id, if there is one.
    pub(crate) fn find(&self, id: &BuildId) -> Result<Option<Build>, CliError> {
        match self.wait(self.table.load(id)) {
            Ok((build, _)) => Ok(Some(build)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(CliError::of(&error)),
        }
    }

    /// Sends a message to the inbox.
    pub(crate) fn send(&self, message: &InboxMessage) -> Result<(), CliError> {
        Ok(self.wait(self.inbox.send(message))?)
    }
}

fn not_found(error: &ConfigError) -> CliError {
    let shown = match error {
        // Both facts in one line.
        ConfigError::NoStack { source, .. } => CliError::failed(format!("{error}: {}", source.fault.message)),
        _ => CliError::of(error),
    };
    error.hint().into_iter().fold(shown, CliError::hint)
}

/// Converts a fault.
pub(crate) fn error(fault: Fault) -> CliError {
    let error = CliError::failed(fault.message);
    fault.hint.into_iter().fold(error, CliError::hint)
}
