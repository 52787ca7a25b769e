//! `bakehouse-agent`.

use std::{path::PathBuf, process::ExitCode};

use bakehouse_agent_daemon::{check, daemon::Ended, runner::AGENT_JOB, say, settings, start};
use clap::{Args, Parser, Subcommand};

/// The agent of Bakehouse on a persistent host: mounts, provisions and unmounts the volumes of builds.
#[derive(Parser)]
#[command(version, name = "bakehouse-agent")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the host's queue until SIGTERM.
    Run(Config),
    /// Look whether this host can do builds: one line for each thing that is needed. Exits with 1 if one is missing.
    Check(Config),
}

#[derive(Args)]
struct Config {
    /// The settings.
    #[arg(long, default_value = settings::FILE)]
    config: PathBuf,
}

fn main() -> ExitCode {
    // First of all: a job makes namespaces and forks, which a process with threads can't.
    let first = std::env::args_os().nth(1).unwrap_or_default();
    if first == AGENT_JOB {
        return bakehouse_agent::job::main();
    }
    if first == check::TRY {
        return check::try_namespaces();
    }
    let command = Arguments::parse().command;
    // One thread: it has little to do, and every thread costs memory.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    match command {
        Command::Check(Config { config }) => runtime.block_on(check::run(&config)),
        Command::Run(Config { config }) => {
            let settings = match settings::Settings::read(&config) {
                Ok(settings) => settings,
                Err(error) => return failed(&error.to_string()),
            };
            let ended = runtime.block_on(start::run(settings));
            // What still runs in other threads is waited for by nobody.
            runtime.shutdown_background();
            match ended {
                Ok(Ended::Drained) => ExitCode::SUCCESS,
                Ok(Ended::AtOnce) => failed("told twice to end: jobs that were at work are cut off"),
                Err(error) => failed(&error),
            }
        }
    }
}

fn failed(what: &str) -> ExitCode {
    say::error(what);
    ExitCode::FAILURE
}
