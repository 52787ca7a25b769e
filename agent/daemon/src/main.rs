//! `bakehouse-agent`.

use std::{path::PathBuf, process::ExitCode};

use bakehouse_agent_daemon::{check, daemon::Ended, runner::AGENT_JOB, settings, start};
use bakehouse_logging::{DIRECTIVES, Format};
use bakehouse_protocol::chain;
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
    if let Err(error) = start_log() {
        eprintln!("{}", chain(&error));
        return ExitCode::FAILURE;
    }
    // Before any thread starts: a job makes namespaces and forks, which a process with threads can't.
    let first = std::env::args_os().nth(1).unwrap_or_default();
    if first == AGENT_JOB {
        return bakehouse_agent::supervisor::main();
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

fn failed(why: &str) -> ExitCode {
    tracing::error!("{why}");
    ExitCode::FAILURE
}

/// Starts the log: for the journal, or as JSON if BAKEHOUSE_LOG_FORMAT says so.
fn start_log() -> Result<(), bakehouse_logging::LoggingError> {
    let is_json = std::env::var_os("BAKEHOUSE_LOG_FORMAT").is_some_and(|format| format == "json");
    let format = if is_json { Format::Json } else { Format::Journal };
    bakehouse_logging::start(format, &bakehouse_logging::directives(DIRECTIVES, "info"))
}
