//! `bakehouse ls`.

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_machine::{Build, ImageStage};
use bakehouse_protocol::Timestamp;
use serde::Serialize;

use super::notes::note_left;
use crate::{
    args::Listing,
    build_source::Found,
    context::CliContext,
    printer::{self, Retrying},
    report::{CliError, Exit, note},
    summary::{duration_at, outcome, shown},
    table, text,
};

/// One build in `ls --json`.
#[derive(Serialize)]
struct Row<'a> {
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
    images: Vec<Image<'a>>,
    /// What goes on failing and is tried again.
    retrying: Vec<Retrying>,
}

#[derive(Serialize)]
struct Image<'a> {
    region: &'a str,
    /// The account that owns it; absent: the build's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    id: &'a str,
}

pub(super) fn run(args: &Listing, cx: &CliContext) -> Result<Exit, CliError> {
    let source = cx.source()?;
    let now = WallClock.now();
    let Found { builds, unreadable } = source.builds()?;
    if let Some(first) = unreadable.first() {
        if builds.is_empty() {
            return Err(first.clone());
        }
        text::err(&first.render());
        if unreadable.len() > 1 {
            note(&format!("{} more can't be read", text::count(unreadable.len() - 1, "record")));
        }
    }
    if args.json {
        let rows: Vec<Row<'_>> = builds.iter().map(|build| row(build, source.is_left(build), now)).collect();
        text::out(&serde_json::to_string_pretty(&rows)?);
    } else if builds.is_empty() {
        note(&format!("no builds in {}", source.name()));
    } else {
        let rows: Vec<Vec<String>> = builds.iter().map(|build| cells(build, source.is_left(build), now)).collect();
        table::render(&["id", "recipe", "state", "age", "took", "image"], &rows)
            .iter()
            .for_each(|line| text::out(line));
        for build in &builds {
            for failing in build.reportable_failures() {
                note(&format!("build {} is retrying: {}", build.id, printer::failing_line(failing)));
            }
        }
    }
    note_left(&*source);
    Ok(Exit::Done)
}

fn images(build: &Build) -> impl Iterator<Item = Image<'_>> {
    let there = build.resources.images.iter().filter(|image| image.stage != ImageStage::Removed);
    there.map(|image| Image {
        region: image.region.region.as_str(),
        account: image.region.account(),
        id: image.id.as_str(),
    })
}

fn row(build: &Build, left: bool, now: Timestamp) -> Row<'_> {
    Row {
        id: build.id.as_str(),
        recipe: &build.recipe,
        name: shown(build, &build.spec.name),
        region: build.region.as_str(),
        state: outcome(build),
        left,
        accepted_at: text::rfc3339(build.accepted_at),
        milliseconds: duration_at(build, left, now).0,
        images: images(build).collect(),
        retrying: Retrying::all(build),
    }
}

fn cells(build: &Build, left: bool, now: Timestamp) -> Vec<String> {
    let state = match (left, build.reportable_failures().next()) {
        (true, _) => format!("left in {}", outcome(build)),
        (false, Some(_)) => format!("{}, retrying", outcome(build)),
        (false, None) => outcome(build).to_owned(),
    };
    let images: Vec<Image<'_>> = images(build).collect();
    let image = match images.as_slice() {
        [] => String::new(),
        [one] => one.id.to_owned(),
        [first, others @ ..] => {
            format!("{} and {}", first.id, text::count(others.len(), "copy").replace("copys", "copies"))
        }
    };
    vec![
        build.id.to_string(),
        build.recipe.clone(),
        state,
        text::age(now.since(build.accepted_at)),
        duration_at(build, left, now).to_string(),
        image,
    ]
}
