//! `bakehouse hosts`.

use bakehouse_controller::{clock::WallClock, ports::Clock as _};

use crate::{
    args::Listing,
    context::CliContext,
    report::{CliError, Exit, note},
    table, text,
};

pub(super) fn run(args: &Listing, cx: &CliContext) -> Result<Exit, CliError> {
    let source = cx.source()?;
    let hosts = source.hosts()?;
    if args.json {
        text::out(&serde_json::to_string_pretty(&hosts)?);
        return Ok(Exit::Done);
    }
    if hosts.is_empty() {
        note(&format!("no host has reported to {}", source.name()));
        return Ok(Exit::Done);
    }
    let now = WallClock.now();
    let rows: Vec<Vec<String>> = hosts
        .iter()
        .map(|host| {
            vec![
                host.host.clone(),
                host.state.to_owned(),
                text::age(now.since(host.seen)),
                host.zone.clone(),
                host.architecture.to_owned(),
                format!("{}/{}", host.builds.len(), host.slots),
                host.builds.join(" "),
            ]
        })
        .collect();
    table::render(&["host", "state", "seen", "zone", "arch", "slots", "builds"], &rows)
        .iter()
        .for_each(|line| text::out(line));
    Ok(Exit::Done)
}
