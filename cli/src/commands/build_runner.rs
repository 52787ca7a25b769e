//! Runs builds on this machine, and prints what becomes of each.

use bakehouse_controller::{
    clock::WallClock,
    drive::Observer,
    mask::Mask,
    ports::{Clock as _, Keys, Parameters},
};
use bakehouse_ec2::Ec2;
use bakehouse_localcloud::LocalCloud;
use bakehouse_machine::{Build as Record, Event, Phase};
use bakehouse_protocol::{BuildSpec, Bytes, Interaction, Millis, OnError, Report, ReportBody};
use bakehouse_runner::{AnswerHandle, BuildRequest, LocalRunner, RunnerError};
use bakehouse_template::Loaded;
use console::style;

use super::{
    post_processing::PostProcessing,
    prompt::Prompt,
    results::{Ended, Format},
    undo_killed,
};
use crate::{
    args::Build,
    context::CliContext,
    machine_line,
    post_processors::PostEvent,
    printer::{BuildPrinter, Human, Json, MachineReadable},
    report::{CliError, Exit},
    screen::Screen,
    signals::{BuildTracker, LatestBuilds},
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
    pub(super) latest: LatestBuilds,
    pub(super) mask: Mask,
    pub(super) recipe: String,
    pub(super) files: String,
    pub(super) post: PostProcessing,
    pub(super) interaction: Interaction,
    pub(super) prompt: Prompt,
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
    pub(super) fn new(
        args: &Build,
        cx: &CliContext,
        loaded: &Loaded,
        interaction: Interaction,
        screen: Screen,
        latest: LatestBuilds,
    ) -> Self {
        Self {
            format: Format::of(args.json, args.machine_readable),
            several: loaded.builds.len() > 1,
            timestamps: args.timestamp_ui,
            screen,
            latest,
            mask: Mask::new(&loaded.sensitive),
            recipe: templates::recipe(&args.template),
            files: cx.directory.to_string_lossy().into_owned(),
            post: PostProcessing { run_uuid: loaded.run_uuid.clone(), force: args.force },
            interaction,
            prompt: Prompt::default(),
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

impl<E: Ec2, P: Parameters + Keys> BuildRunner<'_, E, P> {
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
            // Of a build about which somebody is asked it stays until the answer.
            keep_failed: cx.interaction.on_error != OnError::Cleanup,
        };
        let screen = cx.screen_of(name, index);
        let mut printer = self.printer(name, &screen);
        match &mut printer {
            BuildPrinter::Human(_) => {
                let title = style(format!("{name} from {}", cx.recipe)).bold().for_stderr();
                screen.line(&format!("Baking {title} as build {id}"));
            }
            BuildPrinter::Json(json) => json.started(&id, &builder, &cx.recipe),
            BuildPrinter::MachineReadable(_) => {}
        }
        let (build, device) = self.drive(request, &screen, &mut printer)?;
        let ended = self.finish(&build, &device, name, &screen, &mut printer);
        screen.clear_status();
        Ok(ended)
    }

    fn printer(&self, name: &str, screen: &Screen) -> BuildPrinter {
        let mask = self.cx.mask.clone();
        match self.cx.format {
            Format::Human => BuildPrinter::Human(Human::new(screen.clone(), mask)),
            Format::Json => BuildPrinter::Json(Json::new(mask)),
            Format::MachineReadable => {
                let (name, timestamps) = (name.to_owned(), self.cx.timestamps);
                BuildPrinter::MachineReadable(MachineReadable::new(name, mask, timestamps, now))
            }
        }
    }

    /// Drives a build to its end. Returns its record, and the device name that its volume had.
    fn drive(
        &self,
        request: BuildRequest,
        screen: &Screen,
        observer: &mut (dyn Observer + Send),
    ) -> Result<(Record, String), CliError> {
        let mut observer = BuildTracker::new(self.cx.latest.clone(), observer);
        let mut asking = AskingObserver {
            inner: &mut observer,
            prompt: &self.cx.prompt,
            screen,
            handle: self.runner.answer_handle(),
        };
        let build = self.runner.build(request, &mut asking).and_then(|build| self.after_failure(build, &mut asking));
        screen.clear_status();
        let build = build.map_err(|error| CliError::of(&error).hide(&self.cx.mask))?;
        undo_killed::clear_job(self.runner, &build);
        Ok((build, observer.device()))
    }

    /// With `-on-error=ask`: removes what a failed build has made, if the answer is so.
    fn after_failure(&self, build: Record, observer: &mut AskingObserver<'_>) -> Result<Record, RunnerError> {
        let is_asked = self.cx.interaction.on_error == OnError::Ask && !build.leftovers.is_empty();
        if !is_asked || !self.cx.prompt.removes(&build.id, observer.screen) {
            return Ok(build);
        }
        let removed = self.runner.undo_orphaned(&build.id, observer)?;
        Ok(removed.unwrap_or(build))
    }

    /// Runs the post-processors of a build that has succeeded, and prints the result.
    fn finish(&self, build: &Record, device: &str, name: &str, screen: &Screen, printer: &mut BuildPrinter) -> Ended {
        let cx = self.cx;
        let has_succeeded = build.phase == Phase::Succeeded;
        if has_succeeded && cx.format == Format::Human {
            self.print_made(build, screen);
        }
        let failed = has_succeeded.then(|| {
            let cancel = self.runner.cancel_handle();
            let tell = &mut |event: PostEvent<'_>| printer.post_event(&build.id, &event);
            cx.post.run(build, device, &cx.mask, now(), &|| cancel.is_requested(), tell)
        });
        let mut ended = ended(build, name);
        if let Some(error) = failed.flatten() {
            ended.exit = error.exit();
            ended.error = Some(error.message().to_owned());
            match printer {
                BuildPrinter::Human(_) => screen.line(&error.render()),
                BuildPrinter::Json(json) => json.post_failed(&build.id, error.message()),
                BuildPrinter::MachineReadable(printer) => printer.error(error.message()),
            }
        }
        match printer {
            BuildPrinter::Human(_) => {
                // In one write: the lines of other builds don't come between.
                if has_succeeded {
                    text::out(&summary::result_lines(build, cx.several.then_some(name)).join("\n"));
                }
                print_end(build, screen);
            }
            BuildPrinter::Json(json) => {
                json.finished(&Summary::of(build, self.disks));
                print_end(build, screen);
            }
            BuildPrinter::MachineReadable(_) => print_end_for_machines(build, &ended),
        }
        ended
    }

    /// Prints how long it took, and the images' disks.
    fn print_made(&self, build: &Record, screen: &Screen) {
        let summary = Summary::of(build, self.disks);
        let took = Millis(summary.milliseconds);
        let changed = summary.bytes_changed.map_or_else(String::new, |bytes| format!(", {} changed", Bytes(bytes)));
        screen.line(&format!("{} in {took}{changed}", style("Baked").green().bold().for_stderr()));
        for image in &summary.images {
            if let Some(disk) = &image.disk {
                screen.line(&format!("  {} disk {}", image.id, disk.display()));
            }
        }
    }
}

/// An observer that asks what a job waits for.
struct AskingObserver<'a> {
    inner: &'a mut (dyn Observer + Send),
    prompt: &'a Prompt,
    screen: &'a Screen,
    handle: AnswerHandle,
}

impl Observer for AskingObserver<'_> {
    fn saved(&mut self, before: &Record, after: &Record) {
        self.inner.saved(before, after);
    }

    fn rejected(&mut self, event: &Event, why: &str) {
        self.inner.rejected(event, why);
    }

    fn report_received(&mut self, report: &Report) {
        self.inner.report_received(report);
        if let ReportBody::Waiting(waiting) = &report.body {
            let (build, waiting) = (report.build.clone(), waiting.clone());
            self.prompt.answer_job(build, waiting, self.screen.clone(), self.handle.clone());
        }
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
    Ended { name: name.to_owned(), exit, error, images: summary::artifacts(build, None) }
}

/// Prints why a build ended badly, if it did.
fn print_end(build: &Record, screen: &Screen) {
    if let Phase::Failed(reason) = &build.phase {
        screen.line(&CliError::reason(reason).render());
    }
    if build.phase != Phase::Succeeded {
        screen.line(&summary::undone(build));
    }
    for warning in &build.warnings {
        screen.line(&format!("warning: {warning}"));
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
    for warning in &build.warnings {
        machine_line::error(warning);
    }
}
