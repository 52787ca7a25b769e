//! One file a verb, and what they share.

mod build;
mod cancel;
#[cfg(feature = "aws")]
mod drain;
#[cfg_attr(not(feature = "aws"), path = "no_here.rs")]
mod here;
mod hosts;
mod local;
mod logs;
mod ls;
mod oven;
mod policy;
#[cfg(feature = "aws")]
mod reach;
#[cfg(feature = "aws")]
mod recipe;
mod serve;
mod show;
#[cfg(feature = "aws")]
mod submit;
mod sweep;
#[cfg(feature = "aws")]
mod unused;
mod validate;
mod watch;

use std::path::PathBuf;

use bakehouse_runner::{Records, Settings, Workshop, WorkshopError};
use bakehouse_localcloud::{LocalCloud, disks::LocalError};
use bakehouse_protocol::{BuildId, Region, access::Kept};

use crate::{
    AGENT_JOB,
    args::{Arguments, Verb},
    desk::{Desk, HERE, LocalDesk},
    report::{Exit, Trouble, note},
    settings::Environment,
    text,
};

/// How many builds may run at once on this machine; one more waits for its turn.
pub(crate) const SLOTS: usize = 16;

/// Where we are.
struct Here {
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
        Err(trouble) => {
            text::err(&trouble.render());
            trouble.exit()
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<Exit, Trouble> {
    let directory = std::env::current_dir()
        .map_err(|error| Trouble::wrong(format!("the working directory can't be found: {error}")))?;
    if let Verb::Validate(asked) = &arguments.verb {
        return validate::run(asked, &directory);
    }
    if let Verb::Policy(asked) = &arguments.verb {
        return policy::run(asked, arguments.stack.as_deref(), &directory);
    }
    let environment: Environment<fn(&str) -> Option<String>> = Environment(|name| std::env::var(name).ok());
    let state = environment.state(arguments.state.as_deref(), &directory)?;
    let here = Here { state, stack: arguments.stack.clone(), region: arguments.region.clone(), directory, environment };
    match &arguments.verb {
        Verb::Validate(asked) => validate::run(asked, &here.directory),
        Verb::Policy(asked) => policy::run(asked, here.stack.as_deref(), &here.directory),
        Verb::Build(asked) => build::run(asked, &here),
        #[cfg(feature = "aws")]
        Verb::Submit(asked) => submit::run(asked, &here),
        #[cfg(feature = "aws")]
        Verb::Recipe(asked) => recipe::run(asked, &here),
        #[cfg(feature = "aws")]
        Verb::Drain(asked) => drain::run(asked, &here),
        #[cfg(not(feature = "aws"))]
        Verb::Submit(_) | Verb::Recipe(_) | Verb::Drain(_) => Err(without_aws("what speaks to a stack")),
        Verb::Ls(asked) => ls::run(asked, &here),
        Verb::Show(asked) => show::run(asked, &here),
        Verb::Watch(asked) => watch::run(asked, &here),
        Verb::Logs(asked) => logs::run(asked, &here),
        Verb::Hosts(asked) => hosts::run(asked, &here),
        Verb::Cancel(asked) => cancel::run(asked, &here),
        Verb::Sweep(asked) => sweep::run(asked, &here),
        Verb::Local(asked) => local::run(asked, &here),
    }
}

impl Here {
    /// The workshop in the state directory.
    fn workshop(&self, region: Option<&Region>) -> Result<Workshop, Trouble> {
        let program = std::env::current_exe()
            .map_err(|error| Trouble::failed(format!("finding this program's own file: {error}")))?;
        let region = self.environment.region(region.or(self.region.as_ref()))?;
        let settings = Settings {
            state: self.state.clone(),
            region: region.clone(),
            agent: (program, vec![AGENT_JOB.to_owned()]),
            slots: SLOTS,
            access: Kept::default(),
        };
        Workshop::open(settings).map_err(|error| match error {
            // Nothing but the region of the host is looked up while a workshop opens.
            WorkshopError::Cloud { source: LocalError::Api(_), .. } => {
                Trouble::wrong(format!("the embedded cloud has no region {region}"))
                    .hint("it has those of AWS, as us-east-1 or eu-central-1: --region, AWS_REGION")
            }
            other => Trouble::of(&other),
        })
    }

    /// The records of builds made from here in AWS, if there are any.
    fn here_records(&self) -> Result<Option<Records>, Trouble> {
        let dir = self.state.join(HERE);
        Ok(if dir.is_dir() { Some(Records::open(&dir)?) } else { None })
    }

    /// Where builds are looked at.
    fn desk(&self) -> Result<Box<dyn Desk>, Trouble> {
        #[cfg(feature = "aws")]
        if self.stack.is_some() {
            return Ok(Box::new(crate::aws::StackDesk::new(self.session()?)));
        }
        #[cfg(not(feature = "aws"))]
        if self.stack.is_some() {
            return Err(without_aws("what speaks to a stack"));
        }
        Ok(Box::new(LocalDesk::open(&self.state)?))
    }

    /// The stack that was named.
    #[cfg(feature = "aws")]
    fn session(&self) -> Result<crate::aws::Session, Trouble> {
        let Some(name) = &self.stack else {
            return Err(Trouble::wrong("no stack is named").hint("give it with --stack NAME or in BAKEHOUSE_STACK"));
        };
        crate::aws::Session::open(name, self.region.as_ref())
    }
}

/// Whether no living process has a build in its hands.
fn is_dead(records: &Records, id: &BuildId) -> bool {
    matches!(records.is_owned(id), Ok(false))
}

/// Tells of builds that killed runs have left.
fn note_left(desk: &dyn Desk) {
    for id in desk.left() {
        note(&format!("build {id} was left by a killed run: `bakehouse sweep` shows what is left"));
    }
}

/// Tells of disks that the embedded cloud's state does not know: it was begun anew, or an older one was put back.
fn note_unknown(cloud: &LocalCloud) -> Result<(), Trouble> {
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
fn find(desk: &dyn Desk, wanted: &str) -> Result<BuildId, Trouble> {
    choose(&desk.ids()?, wanted)
}

fn choose(ids: &[BuildId], wanted: &str) -> Result<BuildId, Trouble> {
    if wanted.is_empty() {
        return Err(Trouble::wrong("no build is named").hint("give an id, the beginning of one, or `last`"));
    }
    if wanted == "last" {
        let none = || Trouble::wrong("there is no build yet");
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
        [] => Err(Trouble::wrong(format!("there is no build {wanted}")).hint("`bakehouse ls` lists them")),
        several => {
            let mut names: Vec<&str> = several.iter().rev().take(SHOWN).map(|id| id.as_str()).collect();
            names.extend((several.len() > SHOWN).then_some("…"));
            let message = format!("{wanted} may be any of {} builds: {}", several.len(), names.join(", "));
            Err(Trouble::wrong(message).hint("give more of the id; `bakehouse ls` lists them"))
        }
    }
}

/// What was asked for needs a program that was made with the feature `aws`.
#[cfg(not(feature = "aws"))]
fn without_aws(what: &str) -> Trouble {
    Trouble::wrong(format!("{what} is not in this program, which was made without the feature `aws`"))
        .hint("`cargo build -p bakehouse --features aws` makes one that has it")
}

/// Refuses to go on without root.
fn need_root(what: &str, why: &str) -> Result<(), Trouble> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Trouble::wrong(format!("{what} needs root: {why}"))
        .hint("run it with sudo; give --state or BAKEHOUSE_STATE, as sudo may change the home directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_found_by_any_beginning_that_only_it_has() {
        let ids = ["b-0a", "b-0b1", "b-0b2"].map(|id| BuildId::new(id).unwrap());
        let found = |wanted| choose(&ids, wanted).map(|id| id.to_string()).map_err(|trouble| trouble.render());
        assert_eq!(found("b-0a").unwrap(), "b-0a");
        assert_eq!(found("0a").unwrap(), "b-0a");
        assert_eq!(found("last").unwrap(), "b-0b2");
        assert!(found("b-0b").unwrap_err().contains("b-0b2, b-0b1"));
        assert!(found("").unwrap_err().contains("no build is named"));
        assert!(found("x").unwrap_err().contains("there is no build x"));
        assert!(choose(&[], "last").is_err());
    }
}
