//! The commands: one file for each verb.

#[cfg(feature = "aws")]
mod access_groups;
mod build;
#[cfg_attr(not(feature = "aws"), path = "no_build_on_instance.rs")]
mod build_on_instance;
mod build_runner;
mod cancel;
mod console;
#[cfg(feature = "aws")]
mod drain;
mod find;
mod fmt;
mod hosts;
mod inspect;
mod interaction;
mod local;
mod logs;
mod ls;
mod notes;
mod packer;
mod parallel;
mod plan;
#[cfg_attr(not(feature = "aws"), path = "no_plan_on_aws.rs")]
mod plan_on_aws;
mod policy;
mod post_processing;
mod prompt;
#[cfg(feature = "aws")]
mod recipe;
mod results;
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
    machine_line,
    report::{CliError, Exit},
    settings::Environment,
    text,
};

/// Runs the command. Errors are printed here only.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    match dispatch(arguments) {
        Ok(exit) => exit,
        Err(error) => {
            text::err(&error.render());
            if is_machine_readable(&arguments.verb) {
                machine_line::error(error.message());
            }
            error.exit()
        }
    }
}

fn is_machine_readable(verb: &Verb) -> bool {
    match verb {
        Verb::Build(args) => args.machine_readable,
        Verb::Validate(args) => args.machine_readable,
        Verb::Inspect(args) => args.machine_readable,
        _ => false,
    }
}

fn dispatch(arguments: &Arguments) -> Result<Exit, CliError> {
    let directory = std::env::current_dir()
        .map_err(|error| CliError::wrong(format!("the working directory can't be found: {error}")))?;
    // Asked by those only that need a state directory.
    let cx = || {
        let environment: Environment<fn(&str) -> Option<String>> = Environment(|name| std::env::var(name).ok());
        let state = environment.state(arguments.state.as_deref(), &directory)?;
        let (stack, region) = (arguments.stack.clone(), arguments.region.clone());
        Ok::<_, CliError>(CliContext { state, stack, region, directory: directory.clone(), environment })
    };
    match &arguments.verb {
        Verb::Validate(args) => validate::run(args, &directory),
        Verb::Inspect(args) => inspect::run(args, &directory),
        Verb::Console(args) => console::run(args, &directory),
        Verb::Fmt(args) => fmt::run(args),
        Verb::Version(args) => Ok(packer::version(args)),
        Verb::Init(args) => Ok(packer::init(args)),
        Verb::Plugins(_) => Err(packer::plugins()),
        Verb::Fix(_) => Err(packer::fix()),
        Verb::Hcl2Upgrade(_) => Err(packer::hcl2_upgrade()),
        Verb::Policy(args) => policy::run(args, arguments.stack.as_deref(), &directory),
        Verb::Plan(args) => plan::run(args, &cx()?),
        Verb::Build(args) => build::run(args, &cx()?),
        #[cfg(feature = "aws")]
        Verb::Submit(args) => submit::run(args, &cx()?),
        #[cfg(feature = "aws")]
        Verb::Recipe(args) => recipe::run(args, &cx()?),
        #[cfg(feature = "aws")]
        Verb::Drain(args) => drain::run(args, &cx()?),
        #[cfg(not(feature = "aws"))]
        Verb::Submit(_) | Verb::Recipe(_) | Verb::Drain(_) => Err(without_aws("what speaks to a stack")),
        Verb::Ls(args) => ls::run(args, &cx()?),
        Verb::Show(args) => show::run(args, &cx()?),
        Verb::Watch(args) => watch::run(args, &cx()?),
        Verb::Logs(args) => logs::run(args, &cx()?),
        Verb::Hosts(args) => hosts::run(args, &cx()?),
        Verb::Cancel(args) => cancel::run(args, &cx()?),
        Verb::Sweep(args) => sweep::run(args, &cx()?),
        Verb::Local(args) => local::run(args, &cx()?),
    }
}
