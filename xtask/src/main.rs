//! The project's own tasks: `cargo xtask demo` and `cargo xtask test` are all a newcomer needs to type.
//!
//! It has few dependencies on purpose, as everything waits for it to compile.

mod bakehouse;
mod base;
mod bench;
mod demo;
mod fuzz;
mod glibc;
mod leftovers;
mod package;
mod python;
mod report;
mod setup;
mod sh;
mod test;

use std::{error::Error as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bake a Debian base image and a web server's image from it, on this machine.
    Demo {
        /// Where everything is kept. Default: $XDG_STATE_HOME/bakehouse, else ~/.local/state/bakehouse.
        #[arg(long, value_name = "DIR", env = "BAKEHOUSE_STATE")]
        state: Option<PathBuf>,
    },
    /// Run every test, those that need root included, and say what was skipped and why.
    Test,
    /// Measure, and print a table.
    Bench,
    /// Run the fuzz targets of the parsers, each for some seconds.
    Fuzz {
        /// How long each runs.
        #[arg(long, value_name = "N", default_value_t = 15)]
        seconds: u32,
        /// Only this one.
        target: Option<String>,
    },
    /// Run what the build machine runs: format, lints, licenses and sources, tests.
    Ci,
    /// Install what a task needs: system packages and, for the tests, Python programs.
    Setup {
        /// The task.
        #[arg(long = "for", value_enum, value_name = "TASK", default_value = "test")]
        purpose: setup::Purpose,
    },
    /// Build what a stack deploys, the controller and the agent, for Amazon Linux 2023.
    Package {
        /// The processor of the function and the hosts.
        #[arg(long, value_enum, default_value = "x86_64")]
        arch: package::Arch,
        /// Where a directory named by the architecture is made. Default: `dist`.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Make the raw disk of a real Debian system with examples/base.json's own commands, without bakehouse.
    Base {
        /// Where to put it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What the build machine runs, in this clone's own target directory.
fn ci() -> sh::Result<()> {
    sh::run(sh::command(sh::root().join(".ci/run")).env("CARGO_TARGET_DIR", sh::target()?))
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo { state } => demo::demo(state),
        Task::Test => test::test(),
        Task::Bench => bench::bench(),
        Task::Ci => ci(),
        Task::Fuzz { seconds, target } => fuzz::fuzz(seconds, target.as_deref()),
        Task::Package { arch, out } => package::package(arch, out),
        Task::Setup { purpose } => setup::setup(purpose),
        Task::Base { out } => setup::setup(setup::Purpose::Demo).and_then(|()| base::make(&out)),
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::from(error.exit_code())
}
