//! The context of all commands: the state directory, the stack, the environment, and what is opened with them.

use std::{path::PathBuf, sync::Arc};

use bakehouse_localcloud::disks::LocalError;
use bakehouse_protocol::{Interaction, Region, access::PersistedAccess};
use bakehouse_runner::{LocalRunner, Records, RunnerError, Settings};
use bakehouse_template::External;

use crate::{
    build_source::{BuildSource, INSTANCE_STATE_DIR, LocalBuilds},
    external::LocalValues,
    report::CliError,
    settings::{AGENT_JOB, Environment, SLOTS},
};

/// The context of all commands.
pub(crate) struct CliContext {
    /// The state directory.
    pub(crate) state: PathBuf,
    /// The stack, in place of this machine.
    pub(crate) stack: Option<String>,
    /// The region that the command line names.
    pub(crate) region: Option<Region>,
    /// The working directory.
    pub(crate) directory: PathBuf,
    pub(crate) environment: Environment<fn(&str) -> Option<String>>,
}

impl CliContext {
    /// Opens the runner of local builds in the state directory, without anybody who takes part.
    pub(crate) fn runner(&self, region: Option<&Region>) -> Result<LocalRunner, CliError> {
        self.runner_with(region, Interaction::default())
    }

    /// Opens the runner of local builds in the state directory.
    pub(crate) fn runner_with(
        &self,
        region: Option<&Region>,
        interaction: Interaction,
    ) -> Result<LocalRunner, CliError> {
        let region = self.environment.region(region.or(self.region.as_ref()))?;
        open_runner(self.state.clone(), region, interaction)
    }

    /// Opens the embedded cloud, to answer in place of AWS what templates ask.
    pub(crate) fn local_values(&self, region: Option<&Region>) -> Result<Arc<dyn External>, CliError> {
        let (state, region) = (self.state.clone(), self.environment.region(region.or(self.region.as_ref()))?);
        Ok(Arc::new(LocalValues::new(move || open_runner(state.clone(), region.clone(), Interaction::default()))))
    }

    /// Opens the records of builds that this machine made in AWS, if there are any.
    pub(crate) fn instance_records(&self) -> Result<Option<Records>, CliError> {
        let dir = self.state.join(INSTANCE_STATE_DIR);
        Ok(if dir.is_dir() { Some(Records::open(&dir)?) } else { None })
    }

    /// Opens the source of builds: the stack, or this machine.
    pub(crate) fn source(&self) -> Result<Box<dyn BuildSource>, CliError> {
        #[cfg(feature = "aws")]
        if self.stack.is_some() {
            return Ok(Box::new(crate::aws::StackBuilds::new(self.session()?)));
        }
        #[cfg(not(feature = "aws"))]
        if self.stack.is_some() {
            return Err(without_aws("what speaks to a stack"));
        }
        Ok(Box::new(LocalBuilds::open(&self.state)?))
    }

    /// Opens the stack that was named.
    #[cfg(feature = "aws")]
    pub(crate) fn session(&self) -> Result<crate::aws::Session, CliError> {
        let Some(name) = &self.stack else {
            return Err(CliError::wrong("no stack is named").hint("give it with --stack NAME or in BAKEHOUSE_STACK"));
        };
        crate::aws::Session::open(name, self.region.as_ref())
    }
}

fn open_runner(state: PathBuf, region: Region, interaction: Interaction) -> Result<LocalRunner, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::failed(format!("can't find this program's file: {error}")))?;
    let settings = Settings {
        state,
        region: region.clone(),
        agent: (program, vec![AGENT_JOB.to_owned()]),
        slots: SLOTS,
        access: PersistedAccess::default(),
        interaction,
    };
    LocalRunner::open(settings).map_err(|error| match error {
        // The runner only looks up the host's region while it opens.
        RunnerError::Cloud { source: LocalError::Api(_), .. } => {
            CliError::wrong(format!("the embedded cloud has no region {region}"))
                .hint("it has those of AWS, as us-east-1 or eu-central-1: --region, AWS_REGION")
        }
        other => CliError::of(&other),
    })
}

/// Returns the error of a command that needs the feature `aws`.
#[cfg(not(feature = "aws"))]
pub(crate) fn without_aws(what: &str) -> CliError {
    CliError::wrong(format!("{what} is not in this program, which was built without the feature `aws`"))
        .hint("`cargo build -p bakehouse --features aws` makes one that has it")
}

/// Fails without root.
pub(crate) fn need_root(what: &str, why: &str) -> Result<(), CliError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(CliError::wrong(format!("{what} needs root: {why}"))
        .hint("run it with sudo; give --state or BAKEHOUSE_STATE, as sudo may change the home directory"))
}
