//! `bakehouse watch`.

use bakehouse_controller::{drive::Watch as _, mask::Mask};
use bakehouse_machine::{Build, Phase};
use bakehouse_protocol::Report;

use super::{Here, find};
use crate::{
    args::Watch,
    desk::{Desk, Position},
    printer::Human,
    report::{Exit, Trouble},
    screen::Screen,
    text,
};

pub(super) fn run(asked: &Watch, here: &Here) -> Result<Exit, Trouble> {
    let desk = here.desk()?;
    let id = find(&*desk, &asked.build)?;
    follow(&*desk, desk.load(&id)?)
}

/// Tells of a build from its beginning to its end; how it ended is how the command ends.
pub(super) fn follow(desk: &dyn Desk, first: Build) -> Result<Exit, Trouble> {
    let screen = Screen::new();
    let mut human = Human::new(screen.clone(), Mask::default());
    let mut position = Position::default();
    let mut known = beginning(&first);
    let mut now = first;
    loop {
        let said = desk.said(&now.id, &mut position)?;
        // What the steps printed stands under the phase in which they ran.
        let before = known.phase == Phase::Provisioning;
        let tell = |human: &mut Human, said: &[Report]| said.iter().for_each(|report| human.said(report));
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
        if desk.is_left(&known) {
            screen.still();
            return Err(Trouble::failed(format!("nobody drives build {} any more", known.id))
                .hint("`bakehouse sweep --yes` undoes it, and so does the next build"));
        }
        std::thread::sleep(desk.pause());
        now = desk.load(&known.id)?;
    }
    screen.still();
    Ok(ended(&known))
}

/// The build as it was when nothing had happened yet: everything that has is news.
fn beginning(build: &Build) -> Build {
    let mut beginning = build.clone();
    beginning.phase = Phase::Accepted;
    beginning.history.truncate(1);
    beginning.made = bakehouse_machine::Made::default();
    beginning
}

/// The images, or why there are none.
fn ended(build: &Build) -> Exit {
    match &build.phase {
        Phase::Succeeded => {
            let took = crate::summary::duration(build);
            text::err(&format!("{} in {took}", console::style("Baked").green().bold().for_stderr()));
            for image in &build.made.images {
                text::out(&format!("{}: {}", image.region, image.id));
            }
            Exit::Done
        }
        Phase::Failed(reason) => {
            text::err(&Trouble::reason(reason).render());
            text::err(&super::build::undone(build));
            Exit::Failed
        }
        _ => {
            text::err(&super::build::undone(build));
            Exit::Cancelled
        }
    }
}
