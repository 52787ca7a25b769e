//! One file a verb, and what they share.

#[cfg(feature = "aws")]
mod access_groups;
mod build;
mod build_runner;
mod cancel;
#[cfg(feature = "aws")]
mod drain;
#[cfg_attr(not(feature = "aws"), path = "no_here.rs")]
mod here;
mod hosts;
mod local;
mod logs;
mod ls;
mod policy;
#[cfg(feature = "aws")]
mod recipe;
mod serve;
mod show;
#[cfg(feature = "aws")]
mod strip_credentials;
#[cfg(feature = "aws")]
mod submit;
mod sweep;
mod validate;
mod watch;

use std::path::PathBuf;

use bakehouse_localcloud::{LocalCloud, disks::LocalError};
use bakehouse_protocol::{BuildId, Region, access::Kept};
use bakehouse_runner::{LocalRunner, Records, RunnerError, Settings};

use crate::{
    AGENT_JOB,
    args::{Arguments, Verb},
    build_source::{BuildSource, HERE, LocalBuilds},
    report::{CliError, Exit, note},
    settings::Environment,
    text,
};

/// How many builds may run at once on this machine; one more waits for its turn.
pub(crate) const SLOTS: usize = 16;

/// Where we are.
struct CliContext {
    state: PathBuf,
    /// The stack to ask, in place of this machine.
    stack: Option<String>,
    /// Where it is, if that was said.
    region: Option<Region>,
    directory: PathBuf,
    environment: Environment<fn(&str) -> Option<String>>,
}

/// Does what the arguments ask for. Errors are printed here and nowhere else.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    match dispatch(arguments) {
        Ok(exit) => exit,
        Err(error) => {
            text::err(&error.render());
            error.exit()
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<Exit, CliError> {
    let directory = std::env::current_dir()
        .map_err(|error| CliError::wrong(format!("the working directory can't be found: {error}")))?;
    if let Verb::Validate(args) = &arguments.verb {
        return validate::run(args, &directory);
    }
    if let Verb::Policy(args) = &arguments.verb {
        return policy::run(args, arguments.stack.as_deref(), &directory);
    }
    let environment: Environment<fn(&str) -> Option<String>> = Environment(|name| std::env::var(name).ok());
    let state = environment.state(arguments.state.as_deref(), &directory)?;
    let here =
        CliContext { state, stack: arguments.stack.clone(), region: arguments.region.clone(), directory, environment };
    match &arguments.verb {
        Verb::Validate(args) => validate::run(args, &here.directory),
        Verb::Policy(args) => policy::run(args, here.stack.as_deref(), &here.directory),
        Verb::Build(args) => build::run(args, &here),
        #[cfg(feature = "aws")]
        Verb::Submit(args) => submit::run(args, &here),
        #[cfg(feature = "aws")]
        Verb::Recipe(args) => recipe::run(args, &here),
        #[cfg(feature = "aws")]
        Verb::Drain(args) => drain::run(args, &here),
        #[cfg(not(feature = "aws"))]
        Verb::Submit(_) | Verb::Recipe(_) | Verb::Drain(_) => Err(without_aws("what speaks to a stack")),
        Verb::Ls(args) => ls::run(args, &here),
        Verb::Show(args) => show::run(args, &here),
        Verb::Watch(args) => watch::run(args, &here),
        Verb::Logs(args) => logs::run(args, &here),
        Verb::Hosts(args) => hosts::run(args, &here),
        Verb::Cancel(args) => cancel::run(args, &here),
        Verb::Sweep(args) => sweep::run(args, &here),
        Verb::Local(args) => local::run(args, &here),
    }
}

impl CliContext {
    /// The workshop in the state directory.
    fn runner(&self, region: Option<&Region>) -> Result<LocalRunner, CliError> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::failed(format!("finding this program's own file: {error}")))?;
        let region = self.environment.region(region.or(self.region.as_ref()))?;
        let settings = Settings {
            state: self.state.clone(),
            region: region.clone(),
            agent: (program, vec![AGENT_JOB.to_owned()]),
            slots: SLOTS,
            access: Kept::default(),
        };
        LocalRunner::open(settings).map_err(|error| match error {
            // Nothing but the region of the host is looked up while a workshop opens.
            RunnerError::Cloud { source: LocalError::Api(_), .. } => {
                CliError::wrong(format!("the embedded cloud has no region {region}"))
                    .hint("it has those of AWS, as us-east-1 or eu-central-1: --region, AWS_REGION")
            }
            other => CliError::of(&other),
        })
    }

    /// The records of builds made from here in AWS, if there are any.
    fn here_records(&self) -> Result<Option<Records>, CliError> {
        let dir = self.state.join(HERE);
        Ok(if dir.is_dir() { Some(Records::open(&dir)?) } else { None })
    }

    /// Where builds are looked at.
    fn source(&self) -> Result<Box<dyn BuildSource>, CliError> {
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

    /// The stack that was named.
    #[cfg(feature = "aws")]
    fn session(&self) -> Result<crate::aws::Session, CliError> {
        let Some(name) = &self.stack else {
            return Err(CliError::wrong("no stack is named").hint("give it with --stack NAME or in BAKEHOUSE_STACK"));
        };
        crate::aws::Session::open(name, self.region.as_ref())
    }
}

/// Whether no living process has a build in its hands.
fn is_dead(records: &Records, id: &BuildId) -> bool {
    matches!(records.is_owned(id), Ok(false))
}

/// Tells of builds that killed runs have left.
fn note_left(source: &dyn BuildSource) {
    for id in source.left() {
        note(&format!("build {id} was left by a killed run: `bakehouse sweep` shows what is left"));
    }
}

/// Tells of disks that the embedded cloud's state does not know: it was begun anew, or an older one was put back.
fn note_unknown(cloud: &LocalCloud) -> Result<(), CliError> {
    let unknown = cloud.unknown_disks()?.len();
    if unknown > 0 {
        let (disks, dir) = (text::count(unknown, "disk"), cloud.dir().display());
        note(&format!("{disks} in {dir} that the state there does not know: kept, and listed by `bakehouse sweep`"));
    }
    Ok(())
}

/// How many builds a message names that could mean any of them.
const SHOWN: usize = 5;

/// The build that a person means: an id, an unambiguous beginning of one, or `last`.
fn find(source: &dyn BuildSource, wanted: &str) -> Result<BuildId, CliError> {
    choose(&source.ids()?, wanted)
}

fn choose(ids: &[BuildId], wanted: &str) -> Result<BuildId, CliError> {
    if wanted.is_empty() {
        return Err(CliError::wrong("no build is named").hint("give an id, the beginning of one, or `last`"));
    }
    if wanted == "last" {
        let none = || CliError::wrong("there is no build yet");
        return ids.last().cloned().ok_or_else(none);
    }
    let begins = |id: &&BuildId| {
        let id = id.as_str();
        id.starts_with(wanted)
            || id.strip_prefix("b-").is_some_and(|rest| !wanted.is_empty() && rest.starts_with(wanted))
    };
    let found: Vec<&BuildId> = ids.iter().filter(begins).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(CliError::wrong(format!("there is no build {wanted}")).hint("`bakehouse ls` lists them")),
        several => {
            let mut names: Vec<&str> = several.iter().rev().take(SHOWN).map(|id| id.as_str()).collect();
            names.extend((several.len() > SHOWN).then_some("…"));
            let message = format!("{wanted} may be any of {} builds: {}", several.len(), names.join(", "));
            Err(CliError::wrong(message).hint("give more of the id; `bakehouse ls` lists them"))
        }
    }
}

/// What was asked for needs a program that was made with the feature `aws`.
#[cfg(not(feature = "aws"))]
fn without_aws(what: &str) -> CliError {
    CliError::wrong(format!("{what} is not in this program, which was made without the feature `aws`"))
        .hint("`cargo build -p bakehouse --features aws` makes one that has it")
}

/// Refuses to go on without root.
fn need_root(what: &str, why: &str) -> Result<(), CliError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(CliError::wrong(format!("{what} needs root: {why}"))
        .hint("run it with sudo; give --state or BAKEHOUSE_STATE, as sudo may change the home directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_found_by_any_beginning_that_only_it_has() {
        let ids = ["b-0a", "b-0b1", "b-0b2"].map(|id| BuildId::new(id).unwrap());
        let found = |wanted| choose(&ids, wanted).map(|id| id.to_string()).map_err(|error| error.render());
        assert_eq!(found("b-0a").unwrap(), "b-0a");
        assert_eq!(found("0a").unwrap(), "b-0a");
        assert_eq!(found("last").unwrap(), "b-0b2");
        assert!(found("b-0b").unwrap_err().contains("b-0b2, b-0b1"));
        assert!(found("").unwrap_err().contains("no build is named"));
        assert!(found("x").unwrap_err().contains("there is no build x"));
        assert!(choose(&[], "last").is_err());
    }
}
