//! `bakehouse build`.

use bakehouse_controller::mask::Mask;
use bakehouse_runner::Workshop;
use bakehouse_machine::Build as Record;

use super::{
    Here, need_root,
    oven::{Done, Oven},
};
use crate::{
    args::Build,
    report::{Exit, Trouble},
    screen::Screen,
    signals::{Latest, Signalled},
    templates, text,
};

pub(super) fn run(asked: &Build, here: &Here) -> Result<Exit, Trouble> {
    if !asked.local {
        return super::here::run(asked, here);
    }
    let loaded = templates::read(&asked.template, &asked.variables, &here.directory)?;
    need_root("build --local", "it attaches loop devices, mounts them and runs the provisioners in a chroot")?;
    let workshop = here.workshop(asked.region.as_ref())?;
    let screen = Screen::new();
    let latest = Latest::default();
    let signals = Signalled::listen(workshop.remote(), screen.clone(), latest.clone())?;
    clear_killed(&workshop, &screen, &latest, &signals)?;
    super::note_unknown(workshop.cloud())?;

    let oven = Oven {
        workshop: &workshop,
        disks: Some(workshop.cloud()),
        screen,
        latest,
        mask: Mask::new(&loaded.sensitive),
        recipe: templates::recipe(&asked.template),
        files: here.directory.to_string_lossy().into_owned(),
        json: asked.json,
    };
    let mut done = Done::of(loaded.builds.len());
    for spec in loaded.builds {
        if signals.came() || !done.go_on() {
            break;
        }
        done.add(oven.name(&spec), oven.bake(spec));
    }
    Ok(done.tell())
}

/// Undoes what killed runs have left, before a new build begins.
fn clear_killed(workshop: &Workshop, screen: &Screen, latest: &Latest, signals: &Signalled) -> Result<(), Trouble> {
    let left = workshop.records().unfinished()?;
    if super::sweep::undo_left(workshop, &left, screen, latest, signals)? > 0 {
        // What does not go now stands in nobody's way: the sweep tells of it again.
        let (_, troubles) = super::sweep::clear(workshop);
        troubles.iter().for_each(|trouble| text::err(&trouble.render()));
    }
    Ok(())
}

/// What is left of a build that ended badly, in one line.
pub(super) fn undone(build: &Record) -> String {
    let outcome = crate::summary::outcome(build);
    if build.left.is_empty() {
        format!("Build {} has {}; nothing of it is left (`bakehouse show {0}` tells more)", build.id, past(outcome))
    } else {
        format!("Build {} has {}, and this could not be removed: {}", build.id, past(outcome), build.left.join(", "))
    }
}

fn past(outcome: &str) -> &str {
    if outcome == "cancelled" { "been cancelled" } else { outcome }
}
