//! `bakehouse ls`.

use bakehouse_controller::{clock::WallClock, mask::Mask, ports::Clock as _};
use bakehouse_local::Records;
use bakehouse_machine::{Build, ImageStage};
use bakehouse_protocol::Timestamp;
use serde::Serialize;

use super::{Here, is_dead, note_left};
use crate::{
    args::Listing,
    report::{Exit, Trouble, note},
    summary::{duration_at, outcome},
    table, text,
};

/// One build in `ls --json`.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    recipe: &'a str,
    name: &'a str,
    region: &'a str,
    /// Its outcome, or the phase that it is in.
    state: &'a str,
    /// Whether it was left by a killed run.
    left: bool,
    accepted_at: String,
    milliseconds: u64,
    images: Vec<Image<'a>>,
}

#[derive(Serialize)]
struct Image<'a> {
    region: &'a str,
    id: &'a str,
}

pub(super) fn run(asked: &Listing, here: &Here) -> Result<Exit, Trouble> {
    let records = here.records()?;
    let now = WallClock.now();
    let (mut builds, mut unreadable) = (Vec::new(), Vec::new());
    for (_, build) in records.all()? {
        match build {
            Ok(build) => builds.push(build),
            Err(error) => unreadable.push(error),
        }
    }
    if let Some(first) = unreadable.first() {
        let trouble = Trouble::of(first);
        if builds.is_empty() {
            return Err(trouble);
        }
        text::err(&trouble.render(&Mask::default()));
        if unreadable.len() > 1 {
            note(&format!("{} more can't be read", text::count(unreadable.len() - 1, "record")));
        }
    }
    // Ids sort by the second only.
    builds.sort_by(|a, b| (a.accepted_at, &a.id).cmp(&(b.accepted_at, &b.id)));
    if asked.json {
        let rows: Vec<Row<'_>> = builds.iter().map(|build| row(build, &records, now)).collect();
        text::out(&serde_json::to_string_pretty(&rows)?);
    } else if builds.is_empty() {
        note(&format!("no builds in {}", here.state.display()));
    } else {
        let rows: Vec<Vec<String>> = builds.iter().map(|build| cells(build, &records, now)).collect();
        table::render(&["id", "recipe", "state", "age", "took", "image"], &rows)
            .iter()
            .for_each(|line| text::out(line));
    }
    note_left(&records);
    Ok(Exit::Done)
}

fn images(build: &Build) -> impl Iterator<Item = Image<'_>> {
    let there = build.made.images.iter().filter(|image| image.stage != ImageStage::Removed);
    there.map(|image| Image { region: image.region.as_str(), id: image.id.as_str() })
}

fn row<'a>(build: &'a Build, records: &Records, now: Timestamp) -> Row<'a> {
    Row {
        id: build.id.as_str(),
        recipe: &build.recipe,
        name: &build.spec.name,
        region: build.region.as_str(),
        state: outcome(build),
        left: is_left(build, records),
        accepted_at: text::rfc3339(build.accepted_at),
        milliseconds: duration_at(build, is_left(build, records), now).0,
        images: images(build).collect(),
    }
}

fn is_left(build: &Build, records: &Records) -> bool {
    !build.phase.has_ended() && is_dead(records, &build.id)
}

fn cells(build: &Build, records: &Records, now: Timestamp) -> Vec<String> {
    let state = if is_left(build, records) { format!("left in {}", outcome(build)) } else { outcome(build).to_owned() };
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
        duration_at(build, is_left(build, records), now).to_string(),
        image,
    ]
}
