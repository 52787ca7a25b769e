//! Runs builds on this machine, and prints what becomes of each.

use bakehouse_controller::{clock::WallClock, drive::Observer, mask::Mask, ports::Clock as _, ports::Parameters};
use bakehouse_ec2::Ec2;
use bakehouse_localcloud::LocalCloud;
use bakehouse_machine::{Build as Record, Phase};
use bakehouse_protocol::{BuildSpec, Bytes, Millis};
use bakehouse_runner::{BuildRequest, LocalRunner};
use bakehouse_template::Loaded;
use console::style;

use super::{
    results::{Ended, Format},
    undo_killed,
};
use crate::{
    args::Build,
    context::CliContext,
    machine_line,
    printer::{Human, Json, MachineReadable},
    report::{CliError, Exit},
    screen::Screen,
    signals::{BuildTracker, LatestBuild},
    summary::{self, Summary},
    templates, text,
};

/// What all the builds of one command share.
#[derive(Clone)]
pub(super) struct BuildContext {
    pub(super) format: Format,
    /// Whether there are several builds: each line then has the name of its own.
    pub(super) several: bool,
    /// `-timestamp-ui`.
    pub(super) timestamps: bool,
    pub(super) screen: Screen,
    pub(super) latest: LatestBuild,
    pub(super) mask: Mask,
    pub(super) recipe: String,
    pub(super) files: String,
}

/// Runs builds with one runner.
pub(super) struct BuildRunner<'a, E, P> {
    pub(super) cx: &'a BuildContext,
    pub(super) runner: &'a LocalRunner<E, P>,
    /// The embedded cloud with the images' disks, if it is used.
    pub(super) disks: Option<&'a LocalCloud>,
}

impl BuildContext {
    /// Returns what the builds of a command share.
    pub(super) fn new(args: &Build, cx: &CliContext, loaded: &Loaded, screen: Screen, latest: LatestBuild) -> Self {
        Self {
            format: Format::of(args.json, args.machine_readable),
            several: loaded.builds.len() > 1,
            timestamps: args.timestamp_ui,
            screen,
            latest,
            mask: Mask::new(&loaded.sensitive),
            recipe: templates::recipe(&args.template),
            files: cx.directory.to_string_lossy().into_owned(),
        }
    }

    /// Returns the builder's name as it may be shown.
    pub(super) fn name(&self, spec: &BuildSpec) -> String {
        self.mask.apply(summary::display_name(spec)).into_owned()
    }

    /// Returns the screen of one build, the number `index`.
    fn screen_of(&self, name: &str, index: usize) -> Screen {
        let screen = if self.several { self.screen.labelled(name, index) } else { self.screen.clone() };
        if self.timestamps { screen.with_times(now) } else { screen }
    }

    /// Prints why a build could not be run. Returns it as one that ended so.
    pub(super) fn refused(&self, name: String, error: &CliError) -> Ended {
        match self.format {
            Format::MachineReadable => machine_line::error(&format!("Build '{name}' errored: {}", error.message())),
            Format::Human | Format::Json => self.screen.line(&error.render()),
        }
        Ended::with_error(name, error)
    }
}

impl<E: Ec2, P: Parameters> BuildRunner<'_, E, P> {
    /// Runs one build to its end and prints the result. `index` is its number among those of the command.
    pub(super) fn run(&self, spec: BuildSpec, index: usize) -> Ended {
        let name = self.cx.name(&spec);
        self.try_run(spec, index, &name).unwrap_or_else(|error| self.cx.refused(name, &error))
    }

    fn try_run(&self, spec: BuildSpec, index: usize, name: &str) -> Result<Ended, CliError> {
        let cx = self.cx;
        let id = self.runner.new_id()?;
        let builder = cx.mask.apply(&spec.name).into_owned();
        let request = BuildRequest {
            id: id.clone(),
            spec,
            recipe: cx.recipe.clone(),
            files: cx.files.clone(),
            sensitive: cx.mask.clone(),
        };
        let screen = cx.screen_of(name, index);
        let build = match cx.format {
            Format::Json => {
                let mut json = Json::new();
                json.started(&id, &builder, &cx.recipe);
                let build = self.drive(request, &screen, &mut json)?;
                json.finished(&Summary::of(&build, self.disks));
                build
            }
            Format::MachineReadable => {
                let mut printer = MachineReadable::new(name.to_owned(), cx.mask.clone(), cx.timestamps, now);
                self.drive(request, &screen, &mut printer)?
            }
            Format::Human => {
                let title = style(format!("{name} from {}", cx.recipe)).bold().for_stderr();
                screen.line(&format!("Baking {title} as build {id}"));
                let mut human = Human::new(screen.clone(), cx.mask.clone());
                let build = self.drive(request, &screen, &mut human)?;
                if build.phase == Phase::Succeeded {
                    self.print_images(&build, name, &screen);
                }
                build
            }
        };
        let ended = ended(&build, name);
        match cx.format {
            Format::MachineReadable => print_end_for_machines(&build, &ended),
            Format::Human | Format::Json => print_end(&build, &screen),
        }
        Ok(ended)
    }

    fn drive(
        &self,
        request: BuildRequest,
        screen: &Screen,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Record, CliError> {
        let mut observer = BuildTracker { latest: self.cx.latest.clone(), inner: observer };
        let build = self.runner.build(request, &mut observer);
        screen.clear_status();
        let build = build.map_err(|error| CliError::of(&error).hide(&self.cx.mask))?;
        undo_killed::clear_job(self.runner, &build);
        Ok(build)
    }

    /// Prints the images: for people on standard error, for scripts on standard output.
    fn print_images(&self, build: &Record, name: &str, screen: &Screen) {
        let summary = Summary::of(build, self.disks);
        let took = Millis(summary.milliseconds);
        let changed = summary.bytes_changed.map_or_else(String::new, |bytes| format!(", {} changed", Bytes(bytes)));
        screen.line(&format!("{} in {took}{changed}", style("Baked").green().bold().for_stderr()));
        for image in &summary.images {
            if let Some(disk) = &image.disk {
                screen.line(&format!("  {} disk {}", image.id, disk.display()));
            }
        }
        // In one write: the lines of other builds don't come between.
        text::out(&summary::result_lines(build, self.cx.several.then_some(name)).join("\n"));
    }
}

fn now() -> bakehouse_protocol::Timestamp {
    WallClock.now()
}

fn ended(build: &Record, name: &str) -> Ended {
    let (exit, error) = match &build.phase {
        Phase::Failed(reason) => (Exit::Failed, Some(CliError::reason(reason).message().to_owned())),
        Phase::Cancelled => (Exit::Cancelled, Some("build was cancelled".to_owned())),
        _ => (Exit::Done, None),
    };
    let images = summary::artifacts(build, None).into_iter().map(|image| (image.region, image.id)).collect();
    Ended { name: name.to_owned(), exit, error, images }
}

/// Prints why a build ended badly, if it did.
fn print_end(build: &Record, screen: &Screen) {
    if let Phase::Failed(reason) = &build.phase {
        screen.line(&CliError::reason(reason).render());
    }
    if build.phase != Phase::Succeeded {
        screen.line(&summary::undone(build));
    }
}

fn print_end_for_machines(build: &Record, ended: &Ended) {
    let (name, took) = (&ended.name, text::packer_duration(summary::duration(build)));
    match &ended.error {
        None => machine_line::say(&format!("Build '{name}' finished after {took}.")),
        Some(error) => machine_line::say(&format!("Build '{name}' errored after {took}: {error}")),
    }
    if !build.leftovers.is_empty() {
        machine_line::error(&summary::undone(build));
    }
}
