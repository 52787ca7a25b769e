//! `bakehouse watch`.

use bakehouse_controller::{drive::Observer as _, mask::Mask};
use bakehouse_machine::{Build, Phase};
use bakehouse_protocol::Report;

use super::find::find;
use crate::{
    args::Watch,
    build_source::{BuildSource, Position},
    context::CliContext,
    printer::Human,
    report::{CliError, Exit},
    screen::Screen,
    summary::undone,
    text,
};

pub(super) fn run(args: &Watch, cx: &CliContext) -> Result<Exit, CliError> {
    let source = cx.source()?;
    let id = find(&*source, &args.build)?;
    follow(&*source, source.load(&id)?)
}

/// Prints a build from its start to its end. Returns the exit status.
pub(super) fn follow(source: &dyn BuildSource, first: Build) -> Result<Exit, CliError> {
    let screen = Screen::new();
    let mut human = Human::new(screen.clone(), Mask::default());
    let mut position = Position::default();
    let mut known = at_start(&first);
    let mut now = first;
    loop {
        let reports = source.reports(&now.id, &mut position)?;
        // The output of steps is printed under the phase in which they ran.
        let before = known.phase == Phase::Provisioning;
        let print =
            |human: &mut Human, reports: &[Report]| reports.iter().for_each(|report| human.report_received(report));
        if before {
            print(&mut human, &reports);
        }
        human.saved(&known, &now);
        if !before {
            print(&mut human, &reports);
        }
        known = now;
        if known.phase.has_ended() {
            break;
        }
        if source.is_left(&known) {
            screen.clear_status();
            return Err(CliError::failed(format!("nobody drives build {} any more", known.id))
                .hint("`bakehouse sweep --yes` undoes it, and so does the next build"));
        }
        std::thread::sleep(source.poll_interval());
        now = source.load(&known.id)?;
    }
    screen.clear_status();
    Ok(print_end(&known))
}

/// Returns the build as it was at its start, so that all its changes are printed.
fn at_start(build: &Build) -> Build {
    let mut start = build.clone();
    start.phase = Phase::Accepted;
    start.history.truncate(1);
    start.resources = bakehouse_machine::Resources::default();
    start
}

/// Prints the images, or why there are none.
fn print_end(build: &Build) -> Exit {
    match &build.phase {
        Phase::Succeeded => {
            let took = crate::summary::duration(build);
            text::err(&format!("{} in {took}", console::style("Baked").green().bold().for_stderr()));
            for image in &build.resources.images {
                text::out(&format!("{}: {}", image.region, image.id));
            }
            Exit::Done
        }
        Phase::Failed(reason) => {
            text::err(&CliError::reason(reason).render());
            text::err(&undone(build));
            Exit::Failed
        }
        _ => {
            text::err(&undone(build));
            Exit::Cancelled
        }
    }
}
