//! `bakehouse logs`.

use bakehouse_protocol::{Report, ReportBody};

use super::find::find;
use crate::{
    args::Logs,
    build_source::Position,
    context::CliContext,
    report::{CliError, Exit},
    text,
};

pub(super) fn run(args: &Logs, cx: &CliContext) -> Result<Exit, CliError> {
    let source = cx.source()?;
    let id = find(&*source, &args.build)?;
    let mut position = Position::default();
    loop {
        // The record first: then all reports from before the end are read.
        let build = source.load(&id)?;
        let over = build.phase.has_ended() || source.is_left(&build);
        let reports = source.reports(&id, &mut position)?;
        for report in &reports {
            if let Some(line) = line(report, args.json)? {
                text::out(&line);
            }
        }
        if !args.follow && reports.is_empty() || over && reports.is_empty() {
            return Ok(Exit::Done);
        }
        if args.follow && !over {
            std::thread::sleep(source.poll_interval());
        }
    }
}

/// Returns a report as a line; `None`: it is not printed.
fn line(report: &Report, json: bool) -> Result<Option<String>, CliError> {
    if json {
        return Ok(Some(serde_json::to_string(report)?));
    }
    Ok(match &report.body {
        ReportBody::Output { line, .. } => Some(text::plain(line)),
        ReportBody::Provisioner { index, of, title } => Some(format!("==> {}/{of} {title}", index + 1)),
        ReportBody::Note(note) => Some(format!("note: {note}")),
        ReportBody::Phase(_) | ReportBody::Waiting(_) | ReportBody::Heartbeat | ReportBody::Ended(_) => None,
    })
}
