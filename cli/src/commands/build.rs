//! `bakehouse build`.

use bakehouse_controller::{drive::Watch, mask::Mask};
use bakehouse_local::{Order, Workshop};
use bakehouse_machine::{Build as Record, Phase};
use bakehouse_protocol::BuildSpec;
use console::style;

use super::{Here, need_root};
use crate::{
    args::Build,
    printer::{Human, Json},
    report::{Exit, Trouble, note},
    screen::Screen,
    signals::{Latest, Remembering, Signalled},
    summary::Summary,
    templates, text,
};

pub(super) fn run(asked: &Build, here: &Here) -> Result<Exit, Trouble> {
    if !asked.local {
        return Err(Trouble::wrong("building against AWS comes in a later version")
            .hint("with --local the images are baked in an embedded cloud on this machine"));
    }
    let loaded = templates::read(&asked.template, &asked.variables, &here.directory)?;
    need_root("build --local", "it attaches loop devices, mounts them and runs the provisioners in a chroot")?;
    let workshop = here.workshop(asked.region.as_ref())?;
    let screen = Screen::new();
    let latest = Latest::default();
    let signals = Signalled::listen(workshop.remote(), screen.clone(), latest.clone())?;
    clear_killed(&workshop, &screen, &latest, &signals)?;

    let oven = Oven {
        workshop: &workshop,
        screen,
        latest,
        mask: Mask::new(&loaded.sensitive),
        recipe: templates::recipe(&asked.template),
        files: here.directory.to_string_lossy().into_owned(),
        json: asked.json,
    };
    let (all, mut done) = (loaded.builds.len(), Vec::new());
    for spec in loaded.builds {
        if signals.came() {
            break;
        }
        let name = spec.name.clone();
        let exit = oven.bake(spec).unwrap_or_else(|trouble| {
            text::err(&trouble.render(&oven.mask));
            trouble.exit()
        });
        done.push((name, exit));
        if exit == Exit::Cancelled {
            break;
        }
    }
    if all > 1 {
        oven.tell_all(all, &done);
    }
    let worst = done.iter().map(|(_, exit)| *exit).max().unwrap_or(Exit::Done);
    Ok(if done.len() < all { Exit::Cancelled } else { worst })
}

/// Undoes the builds that killed runs have left, before a new one begins.
fn clear_killed(workshop: &Workshop, screen: &Screen, latest: &Latest, signals: &Signalled) -> Result<(), Trouble> {
    let left = workshop.records().unfinished()?;
    for build in &left {
        if signals.came() {
            return Ok(());
        }
        note(&format!("build {} was left by a killed run and is undone first", build.id));
        super::sweep::finish_off(workshop, build, screen, latest)?;
    }
    if !left.is_empty() {
        // What does not go now stands in nobody's way: the sweep tells of it again.
        let (_, troubles) = super::sweep::clear(workshop);
        troubles.iter().for_each(|trouble| text::err(&trouble.render(&Mask::default())));
    }
    Ok(())
}

/// What all the builds of one command share.
struct Oven<'a> {
    workshop: &'a Workshop,
    screen: Screen,
    latest: Latest,
    mask: Mask,
    recipe: String,
    files: String,
    json: bool,
}

impl Oven<'_> {
    /// Runs one build to its end and tells what came of it.
    fn bake(&self, spec: BuildSpec) -> Result<Exit, Trouble> {
        let id = self.workshop.new_id()?;
        let name = spec.name.clone();
        let order = Order {
            id: id.clone(),
            spec,
            recipe: self.recipe.clone(),
            files: self.files.clone(),
            sensitive: self.mask.clone(),
        };
        if self.json {
            let mut json = Json::new(self.mask.clone());
            json.started(&id, &name, &self.recipe);
            let build = self.drive(order, &mut json)?;
            json.finished(&Summary::of(&build, self.workshop.cloud()));
            return Ok(self.ended(&build));
        }
        let title = style(format!("{name} from {}", self.recipe)).bold().for_stderr();
        self.screen.line(&format!("Baking {title} as build {id}"));
        let mut human = Human::new(self.screen.clone(), self.mask.clone());
        let build = self.drive(order, &mut human)?;
        if build.phase == Phase::Succeeded {
            self.tell(&Summary::of(&build, self.workshop.cloud()));
        }
        Ok(self.ended(&build))
    }

    fn drive(&self, order: Order, watch: &mut (dyn Watch + Send)) -> Result<Record, Trouble> {
        let mut watch = Remembering { latest: self.latest.clone(), inner: watch };
        let build = self.workshop.build(order, &mut watch);
        self.screen.still();
        let build = build?;
        super::sweep::clear_job(self.workshop, &build);
        Ok(build)
    }

    /// The artifacts.
    fn tell(&self, summary: &Summary) {
        let took = bakehouse_protocol::Millis(summary.milliseconds);
        let changed =
            summary.bytes_changed.map_or_else(String::new, |bytes| format!(", {} changed", text::bytes(bytes)));
        text::err(&format!("{} in {took}{changed}", style("Baked").green().bold().for_stderr()));
        for image in &summary.images {
            if let Some(disk) = &image.disk {
                text::err(&format!("  {} disk {}", image.id, disk.display()));
            }
        }
        for image in &summary.images {
            text::out(&format!("{}: {}", image.region, image.id));
        }
    }

    /// How it ended, and why if not well.
    fn ended(&self, build: &Record) -> Exit {
        let exit = match &build.phase {
            Phase::Failed(reason) => {
                text::err(&Trouble::reason(reason).render(&self.mask));
                Exit::Failed
            }
            Phase::Cancelled => Exit::Cancelled,
            _ => Exit::Done,
        };
        if exit != Exit::Done {
            text::err(&undone(build));
        }
        exit
    }

    fn tell_all(&self, all: usize, done: &[(String, Exit)]) {
        let names = |wanted: Exit| -> Vec<&str> {
            done.iter().filter(|(_, exit)| *exit == wanted).map(|(name, _)| name.as_str()).collect()
        };
        text::err(&format!("{} of {} done", names(Exit::Done).len(), text::count(all, "builder")));
        for (exit, word) in [(Exit::Failed, "failed"), (Exit::Cancelled, "cancelled")] {
            let names = names(exit);
            if !names.is_empty() {
                text::err(&format!("  {word}: {}", names.join(", ")));
            }
        }
        if done.len() < all {
            text::err(&format!("  not begun: {}", all - done.len()));
        }
    }
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
