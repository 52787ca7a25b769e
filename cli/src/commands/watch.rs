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

pub(super) fn run(args: &Watch, here: &CliContext) -> Result<Exit, CliError> {
    let source = here.source()?;
    let id = find(&*source, &args.build)?;
    follow(&*source, source.load(&id)?)
}

/// Tells of a build from its beginning to its end; how it ended is how the command ends.
pub(super) fn follow(source: &dyn BuildSource, first: Build) -> Result<Exit, CliError> {
    let screen = Screen::new();
    let mut human = Human::new(screen.clone(), Mask::default());
    let mut position = Position::default();
    let mut known = beginning(&first);
    let mut now = first;
    loop {
        let said = source.said(&now.id, &mut position)?;
        // What the steps printed stands under the phase in which they ran.
        let before = known.phase == Phase::Provisioning;
        let tell = |human: &mut Human, said: &[Report]| said.iter().for_each(|report| human.report_received(report));
        if before {
            tell(&mut human, &said);
        }
        human.saved(&known, &now);
        if !before {
            tell(&mut human, &said);
        }
        known = now;
        if known.phase.has_ended() {
            break;
        }
        if source.is_left(&known) {
            screen.still();
            return Err(CliError::failed(format!("nobody drives build {} any more", known.id))
                .hint("`bakehouse sweep --yes` undoes it, and so does the next build"));
        }
        std::thread::sleep(source.pause());
        now = source.load(&known.id)?;
    }
    screen.still();
    Ok(ended(&known))
}

/// The build as it was when nothing had happened yet: everything that has is news.
fn beginning(build: &Build) -> Build {
    let mut beginning = build.clone();
    beginning.phase = Phase::Accepted;
    beginning.history.truncate(1);
    beginning.resources = bakehouse_machine::Resources::default();
    beginning
}

/// The images, or why there are none.
fn ended(build: &Build) -> Exit {
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
