//! `bakehouse`: bakes Amazon Machine Images without launching an instance.
//!
//! Read it in this order: [`args`] (the arguments), [`settings`] (settings from arguments and environment),
//! [`commands`] (one file for each command), [`printer`] (output of a running build), [`report`] (errors).

mod args;
#[cfg(feature = "aws")]
mod aws;
mod build_source;
mod commands;
mod context;
mod external;
mod logging;
mod machine_line;
mod plan;
mod post_processors;
mod printer;
mod report;
mod screen;
mod settings;
mod signals;
mod single_dash;
mod summary;
mod table;
mod templates;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // First: a job creates namespaces and forks, which needs a process with one thread.
    if std::env::args_os().nth(1).is_some_and(|first| first == settings::AGENT_JOB) {
        // A job runs without a log, too.
        let _ = logging::start_job_log();
        return bakehouse_agent::supervisor::main();
    }
    let arguments = args::Arguments::parse_from(single_dash::doubled(std::env::args_os()));
    if !arguments.color || std::env::var_os("PACKER_NO_COLOR").is_some_and(|value| !value.is_empty()) {
        // NO_COLOR is looked up by `console` itself.
        console::set_colors_enabled(false);
        console::set_colors_enabled_stderr(false);
    }
    if let Err(error) = logging::start_log(arguments.verbose) {
        text::err(&report::CliError::of(&error).by_user().render());
        return report::Exit::Wrong.into();
    }
    let exit = commands::run(&arguments);
    // Lost output is a failure.
    if exit == report::Exit::Done && text::is_lost() { report::Exit::Failed.into() } else { exit.into() }
}
