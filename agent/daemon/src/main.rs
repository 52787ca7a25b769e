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
    /// Check whether this host can run builds: one line for each requirement. Exits with 1 if one is not met.
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
    // Before any thread starts: a job creates namespaces and forks, which needs a process with one thread.
    let first = std::env::args_os().nth(1).unwrap_or_default();
    if first == AGENT_JOB {
        return bakehouse_agent::supervisor::main();
    }
    if first == check::TRY_NAMESPACES {
        return check::try_namespaces();
    }
    let command = Arguments::parse().command;
    // One thread is enough for the little that there is to do.
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
            // Blocking tasks that still run are not waited for.
            runtime.shutdown_background();
            match ended {
                Ok(Ended::Drained) => ExitCode::SUCCESS,
                Ok(Ended::Forced) => failed("second signal: running jobs are cut off"),
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
    // Under systemd it is set for lines that the journal reads (systemd.exec(5)).
    let has_prefix = std::env::var_os("JOURNAL_STREAM").is_some();
    let format = if is_json { Format::Json } else { Format::Journal { has_prefix } };
    bakehouse_logging::start(format, &bakehouse_logging::directives(DIRECTIVES, "info"))
}
