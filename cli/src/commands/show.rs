//! `bakehouse show`.

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_machine::{
    AccountRegion, Build, FailureReason, ImageStage, Phase, SnapshotStage, UndoReason, VolumeStage,
};
use bakehouse_protocol::{Millis, spec::Source};
use console::style;
use serde::Serialize;

use super::{find::find, notes::note_left};
use crate::{
    args::Show,
    context::CliContext,
    printer::{self, Retrying},
    report::{CliError, Exit},
    summary::{self, PhaseTime, duration_at, outcome, phases},
    text,
};

/// `show --json`.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    recipe: &'a str,
    name: String,
    region: &'a str,
    /// Its outcome, or the phase that it is in.
    state: &'a str,
    /// Whether it was left by a killed run.
    left: bool,
    accepted_at: String,
    milliseconds: u64,
    phases: Vec<PhaseTime>,
    made: Vec<Made>,
    /// What goes on failing and is tried again.
    retrying: Vec<Retrying>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Why<'a>>,
    /// What could not be removed.
    not_removed: &'a [String],
    /// What went wrong after the images stood, or of what they replaced.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    log: Option<String>,
}

/// Something that the build has made.
#[derive(Serialize)]
struct Made {
    kind: &'static str,
    id: String,
    region: String,
    /// The account that owns it; absent: the build's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    exists: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
}

#[derive(Serialize)]
struct Why<'a> {
    phase: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
    tail: &'a [String],
}

pub(super) fn run(args: &Show, cx: &CliContext) -> Result<Exit, CliError> {
    let source = cx.source()?;
    let id = find(&*source, &args.build)?;
    let build = source.load(&id)?;
    let left = source.is_left(&build);
    let log = source.log(&id);
    if args.json {
        text::out(&serde_json::to_string_pretty(&shown(&build, left, log))?);
    } else {
        print(&build, left, log.as_deref());
    }
    // Of this build it has been said already.
    if build.phase.has_ended() {
        note_left(&*source);
    }
    Ok(Exit::Done)
}

fn reason(build: &Build) -> Option<&FailureReason> {
    match &build.phase {
        Phase::Failed(reason) | Phase::Undoing(UndoReason::Failed(reason)) => Some(reason),
        _ => None,
    }
}

fn shown(build: &Build, left: bool, log: Option<String>) -> Shown<'_> {
    Shown {
        id: build.id.as_str(),
        recipe: &build.recipe,
        name: summary::shown(build, &build.spec.name),
        region: build.region.as_str(),
        state: outcome(build),
        left,
        accepted_at: text::rfc3339(build.accepted_at),
        milliseconds: duration_at(build, left, WallClock.now()).0,
        phases: phases(build),
        made: made(build),
        retrying: Retrying::all(build),
        reason: reason(build).map(|reason| Why {
            phase: reason.phase.as_str(),
            message: &reason.message,
            hint: reason.hint.as_deref(),
            tail: reason.failure.as_ref().map_or(&[], |failure| &failure.tail),
        }),
        not_removed: &build.leftovers,
        warnings: &build.warnings,
        log,
    }
}

fn made(build: &Build) -> Vec<Made> {
    let there = AccountRegion::from(&build.region);
    let mut all = Vec::new();
    let mut add = |kind, id: &dyn ToString, region: &AccountRegion, exists, about| {
        let account = region.account().map(str::to_owned);
        all.push(Made { kind, id: id.to_string(), region: region.region.to_string(), account, exists, about });
    };
    if let Some(volume) = &build.resources.volume {
        let size = build.plan.as_ref().map(|plan| format!("{} GiB", plan.volume.size));
        let exists = volume.stage != VolumeStage::Deleted;
        add("volume", &volume.id, &there, exists, size);
    }
    if let Some(snapshot) = &build.resources.snapshot {
        let exists = snapshot.stage != SnapshotStage::Deleted;
        add("snapshot", &snapshot.id, &there, exists, None);
    }
    for image in &build.resources.images {
        let exists = image.stage != ImageStage::Removed;
        let about = (image.region != build.region).then(|| "copy".to_owned());
        add("image", &image.id, &image.region, exists, about);
        let own = build.resources.snapshot.as_ref().map(|snapshot| &snapshot.id);
        for snapshot in image.snapshots.iter().filter(|snapshot| Some(*snapshot) != own) {
            add("snapshot", snapshot, &image.region, exists, None);
        }
    }
    all
}

fn print(build: &Build, left: bool, log: Option<&str>) {
    let state = match (left, &build.phase) {
        (true, phase) => style(format!("left by a killed run in {}", phase.name())).yellow(),
        (false, Phase::Succeeded) => style(outcome(build).to_owned()).green(),
        (false, Phase::Failed(_)) => style(outcome(build).to_owned()).red(),
        (false, _) => style(outcome(build).to_owned()).yellow(),
    };
    let field = |name: &str, value: &str| text::out(&format!("{name:<9} {value}"));
    field("build", build.id.as_str());
    field("state", &state.bold().to_string());
    field("recipe", &format!("{} ({})", build.recipe, summary::shown(build, &build.spec.name)));
    field("image", &summary::shown(build, &build.spec.image.name));
    field("source", &source(build));
    field("region", build.region.as_str());
    field("began", &text::local_time(build.accepted_at));
    // Of one that nobody drives any more only what is known of it counts.
    let now = if left { build.phase_began() } else { WallClock.now() };
    field("took", &duration_at(build, left, now).to_string());
    if let Some(log) = log {
        field("log", log);
    }
    text::out("\nphases");
    for PhaseTime { phase, milliseconds } in phases(build) {
        text::out(&format!("  {phase:<13} {:>10}", Millis(milliseconds).to_string()));
    }
    if !build.phase.has_ended() {
        let so_far = now.since(build.phase_began()).to_string();
        text::out(&format!("  {:<13} {so_far:>10} so far", build.phase.name()));
    }
    let made = made(build);
    if !made.is_empty() {
        text::out("\nmade");
    }
    for thing in made {
        let region = AccountRegion::describe(&thing.region, thing.account.as_deref());
        let about = thing.about.map_or_else(String::new, |about| format!(", {about}"));
        let gone = if thing.exists { "" } else { "  (gone)" };
        text::out(&format!("  {:<9} {}  {region}{about}{gone}", thing.kind, thing.id));
    }
    let mut retrying = build.reportable_failures().peekable();
    if retrying.peek().is_some() {
        text::out("\nretrying");
    }
    for failing in retrying {
        text::out(&format!("  {}", printer::failing_line(failing)));
        if let Some(hint) = &failing.fault.hint {
            text::out(&format!("  hint: {hint}"));
        }
    }
    if let Some(reason) = reason(build) {
        text::out(&format!("\nfailed in {}", reason.phase));
        // The same renderer as everywhere; here it is what was asked for, so it is data.
        let rendered = CliError::reason(reason).render();
        text::out(&if console::colors_enabled() { rendered.into() } else { console::strip_ansi_codes(&rendered) });
    }
    for thing in &build.leftovers {
        text::out(&format!("not removed: {thing}"));
    }
    for warning in &build.warnings {
        text::out(&format!("warning: {warning}"));
    }
    if left {
        text::out("\n`bakehouse sweep --yes` undoes it, and so does the next build");
    }
}

fn source(build: &Build) -> String {
    if let Source::Scratch { size } = build.spec.source {
        return format!("nothing ({size} GiB from scratch)");
    }
    match build.plan.as_ref().and_then(|plan| Some((plan.data.source_ami.as_ref()?, &plan.data.source_ami_name))) {
        Some((id, name)) => format!("{id} ({name})"),
        None => "not looked up".to_owned(),
    }
}
