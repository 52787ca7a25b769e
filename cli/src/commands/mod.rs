//! The commands: one file for each verb.

#[cfg(feature = "aws")]
mod access_groups;
mod build;
mod build_runner;
mod cancel;
#[cfg(feature = "aws")]
mod drain;
mod find;
#[cfg_attr(not(feature = "aws"), path = "no_here.rs")]
mod here;
mod hosts;
mod local;
mod logs;
mod ls;
mod notes;
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
mod undo_killed;
mod validate;
mod watch;

#[cfg(not(feature = "aws"))]
use crate::context::without_aws;
use crate::{
    args::{Arguments, Verb},
    context::CliContext,
    report::{CliError, Exit},
    settings::Environment,
    text,
};

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
