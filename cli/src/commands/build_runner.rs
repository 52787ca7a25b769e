//! Runs builds one after the other on this machine, and prints their results.

use bakehouse_controller::{drive::Observer, mask::Mask, ports::Parameters};
use bakehouse_ec2::Ec2;
use bakehouse_localcloud::LocalCloud;
use bakehouse_machine::{Build as Record, Phase};
use bakehouse_protocol::{BuildSpec, Bytes};
use bakehouse_runner::{BuildRequest, LocalRunner};
use console::style;

use super::undo_killed;
use crate::{
    printer::{Human, Json},
    report::{CliError, Exit},
    screen::Screen,
    signals::{BuildTracker, LatestBuild},
    summary::{self, Summary},
    text,
};

/// What all the builds of one command share.
pub(super) struct BuildRunner<'a, E, P> {
    pub(super) runner: &'a LocalRunner<E, P>,
    /// The embedded cloud with the images' disks, if it is used.
    pub(super) disks: Option<&'a LocalCloud>,
    pub(super) screen: Screen,
    pub(super) latest: LatestBuild,
    pub(super) mask: Mask,
    pub(super) recipe: String,
    pub(super) files: String,
    pub(super) json: bool,
}

impl<E: Ec2, P: Parameters> BuildRunner<'_, E, P> {
    /// Runs one build to its end and prints the result.
    pub(super) fn run(&self, spec: BuildSpec) -> Result<Exit, CliError> {
        let id = self.runner.new_id()?;
        let name = self.name(&spec);
        let request = BuildRequest {
            id: id.clone(),
            spec,
            recipe: self.recipe.clone(),
            files: self.files.clone(),
            sensitive: self.mask.clone(),
        };
        if self.json {
            let mut json = Json::new();
            json.started(&id, &name, &self.recipe);
            let build = self.drive(request, &mut json)?;
            json.finished(&Summary::of(&build, self.disks));
            return Ok(self.print_end(&build));
        }
        let title = style(format!("{name} from {}", self.recipe)).bold().for_stderr();
        self.screen.line(&format!("Baking {title} as build {id}"));
        let mut human = Human::new(self.screen.clone(), self.mask.clone());
        let build = self.drive(request, &mut human)?;
        if build.phase == Phase::Succeeded {
            self.print_images(&Summary::of(&build, self.disks));
        }
        Ok(self.print_end(&build))
    }

    /// Returns the builder's name as it may be shown.
    pub(super) fn name(&self, spec: &BuildSpec) -> String {
        self.mask.apply(&spec.name).into_owned()
    }

    fn drive(&self, request: BuildRequest, observer: &mut (dyn Observer + Send)) -> Result<Record, CliError> {
        let mut observer = BuildTracker { latest: self.latest.clone(), inner: observer };
        let build = self.runner.build(request, &mut observer);
        self.screen.clear_status();
        let build = build.map_err(|error| CliError::of(&error).hide(&self.mask))?;
        undo_killed::clear_job(self.runner, &build);
        Ok(build)
    }

    /// Prints the images.
    fn print_images(&self, summary: &Summary) {
        let took = bakehouse_protocol::Millis(summary.milliseconds);
        let changed = summary.bytes_changed.map_or_else(String::new, |bytes| format!(", {} changed", Bytes(bytes)));
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

    /// Prints why a build failed, if it did. Returns the exit status.
    fn print_end(&self, build: &Record) -> Exit {
        let exit = match &build.phase {
            Phase::Failed(reason) => {
                text::err(&CliError::reason(reason).render());
                Exit::Failed
            }
            Phase::Cancelled => Exit::Cancelled,
            _ => Exit::Done,
        };
        if exit != Exit::Done {
            text::err(&summary::undone(build));
        }
        exit
    }
}

/// How the builds of one command ended.
pub(super) struct Results {
    all: usize,
    ended: Vec<(String, Exit)>,
}

impl Results {
    /// Returns empty results for this many builds.
    pub(super) fn new(all: usize) -> Self {
        Self { all, ended: Vec::new() }
    }

    /// Whether no build was cancelled.
    pub(super) fn may_continue(&self) -> bool {
        self.ended.last().is_none_or(|(_, exit)| *exit != Exit::Cancelled)
    }

    /// Adds a result, and prints its error.
    pub(super) fn add(&mut self, name: String, ended: Result<Exit, CliError>) {
        let exit = ended.unwrap_or_else(|error| {
            text::err(&error.render());
            error.exit()
        });
        self.ended.push((name, exit));
    }

    /// Prints the results, if there are several. Returns the exit status of the command.
    pub(super) fn finish(&self) -> Exit {
        if self.all > 1 {
            self.print_each();
        }
        let worst = self.ended.iter().map(|(_, exit)| *exit).max().unwrap_or(Exit::Done);
        if self.ended.len() < self.all { Exit::Cancelled } else { worst }
    }

    fn print_each(&self) {
        let names = |wanted: Exit| -> Vec<&str> {
            self.ended.iter().filter(|(_, exit)| *exit == wanted).map(|(name, _)| name.as_str()).collect()
        };
        text::err(&format!("{} of {} done", names(Exit::Done).len(), text::count(self.all, "builder")));
        for (exit, word) in [(Exit::Failed, "failed"), (Exit::Cancelled, "cancelled")] {
            let names = names(exit);
            if !names.is_empty() {
                text::err(&format!("  {word}: {}", names.join(", ")));
            }
        }
        if self.ended.len() < self.all {
            text::err(&format!("  not begun: {}", self.all - self.ended.len()));
        }
    }
}
